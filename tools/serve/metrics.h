// The server's counters as Prometheus reads them. Names and labels follow vLLM's, units are seconds and bytes.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace starling::tools {

/// Cumulative buckets, as the text format wants them.
class Histogram {
 public:
  /// `bounds`: upper ones, ascending, without infinity.
  explicit Histogram(std::vector<double> bounds);
  void add(double value);
  std::string text(const std::string& name, const std::string& labels) const;
  std::uint64_t count() const { return counts_.back(); }
  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;  // one more than bounds: all
  double sum_ = 0;
};

/// What is asked when the page is made.
struct MetricGauges {
  std::int64_t running = 0, waiting = 0;
  std::int64_t kv_positions = 0, kv_positions_max = 0;
  struct Node {
    std::string name;
    std::uint64_t weight_bytes = 0, kv_bytes = 0;
  };
  std::vector<Node> nodes;
  std::uint64_t resident_bytes = 0;  // of this process
};

/// May be used from any thread.
class Metrics {
 public:
  explicit Metrics(std::string model);

  void prompt_tokens(std::int64_t tokens, std::int64_t cached);
  void generated_token();
  void first_token(double seconds_since_arrival);
  void next_token(double seconds_since_the_last);
  void queued(double seconds);
  /// `reason`: stop, length, tool_calls, cancelled or error.
  void finished(const std::string& reason, double seconds);
  void answered(const std::string& endpoint, int status);

  std::int64_t generated() const;
  /// The text exposition format 0.0.4.
  std::string text(const MetricGauges& gauges) const;

 private:
  mutable std::mutex mutex_;
  std::string labels_;  // model="..."
  std::uint64_t prompt_ = 0, cached_ = 0, generated_ = 0;
  Histogram first_, between_, queue_, whole_;
  std::map<std::string, std::uint64_t> finished_;
  std::map<std::pair<std::string, int>, std::uint64_t> answered_;
};

}  // namespace starling::tools
