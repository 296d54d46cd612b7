// Many clients of a server from one thread: streams that each ask, read their answer event by event and ask again.
// Measures what a user would feel, and checks every answer against the first one to the same prompt.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace starling::tools {

struct LoadOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string key;
  int streams = 64;
  std::int64_t requests = 10'000;
  std::int64_t tokens = 32;            // of each answer
  std::vector<std::string> prompts;    // taken in turn
  std::function<void(std::int64_t)> progress;  // called with the number of answers that are complete; may be empty
};

struct LoadResult {
  std::int64_t answers = 0, errors = 0, tokens = 0;
  std::string first_error;
  double seconds = 0, cpu_seconds = 0;  // of the whole, and of this thread
  /// Seconds, ascending.
  std::vector<float> first_token, between_tokens, whole;
};

/// Kind::unreachable when the server cannot be reached, Kind::timeout when nothing comes for a minute. A failed request
/// is an error in the result.
LoadResult run_load(const LoadOptions& options);

/// The value below which `part` of the ascending `values` lie; 0 when there are none.
double quantile(const std::vector<float>& values, double part);

}  // namespace starling::tools
