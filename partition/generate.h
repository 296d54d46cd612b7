// Autoregressive generation over a (possibly distributed) model.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/text/sampler.h"
#include "partition/shard.h"

namespace starling::partition {

struct GenerateOptions {
  std::int64_t tokens = 128;
  core::SamplerSettings sampler;
  /// Teacher forcing: step i continues with forced[i] instead of the sampled token.
  std::vector<core::TokenId> forced;
  /// Ends the text when it returns true for a token; that token is not part of it. May be empty.
  std::function<bool(core::TokenId)> ends;
  /// Called for every token as it comes. May be empty.
  std::function<void(core::TokenId)> on_token;
};

struct Generation {
  std::vector<core::TokenId> ids;
  double ttft_ms = 0;  // from the start to the first token
  double prefill_tokens_per_s = 0;
  double decode_tokens_per_s = 0;
  /// XXH3 over the logits of every step: two runs with equal hashes computed the same bits.
  std::uint64_t logits_hash = 0;
};

/// Kind::usage when the prompt is empty or does not fit the cache. Stops early where the cache ends.
Generation generate(ShardedLlama& model, std::span<const core::TokenId> prompt, const GenerateOptions& options);

}  // namespace starling::partition
