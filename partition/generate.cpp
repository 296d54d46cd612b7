#include "partition/generate.h"

#include <chrono>

#include "comm/frame.h"

namespace starling::partition {
namespace {

using Seconds = std::chrono::duration<double>;

std::uint64_t combine(std::uint64_t hash, std::span<const float> logits) {
  const std::uint64_t pair[2] = {hash, comm::checksum(std::as_bytes(logits))};
  return comm::checksum(std::as_bytes(std::span(pair)));
}

}  // namespace

Generation generate(ShardedLlama& model, std::span<const core::TokenId> prompt, const GenerateOptions& options) {
  core::check(!prompt.empty(), core::Kind::usage, "the prompt has no token: give --prompt or --prompt-ids");
  const auto prompt_tokens = static_cast<std::int64_t>(prompt.size());
  core::check(prompt_tokens <= model.positions(), core::Kind::usage,
              "a prompt of {} tokens does not fit a context of {}", prompt_tokens, model.positions());
  core::Sampler sampler(options.sampler);
  std::vector<core::TokenId> sequence(prompt.begin(), prompt.end());
  Generation result;
  const auto start = comm::Clock::now();
  auto first = start;
  std::span<const core::TokenId> input = prompt;
  std::int64_t position = 0;
  for (std::int64_t step = 0; step < options.tokens; ++step) {
    const std::span<const float> logits = model.forward(input, position);
    position += static_cast<std::int64_t>(input.size());
    result.logits_hash = combine(result.logits_hash, logits);
    const auto index = static_cast<std::size_t>(step);
    const core::TokenId token = index < options.forced.size()
                                    ? options.forced[index]
                                    : sampler.sample(logits, sequence, static_cast<std::uint64_t>(step));
    if (step == 0) first = comm::Clock::now();
    if (options.ends && options.ends(token)) break;
    sequence.push_back(token);
    result.ids.push_back(token);
    if (options.on_token) options.on_token(token);
    if (position >= model.positions()) break;
    input = std::span(sequence).last(1);
  }
  const double prefill_s = Seconds(first - start).count();
  const double decode_s = Seconds(comm::Clock::now() - first).count();
  result.ttft_ms = prefill_s * 1e3;
  if (prefill_s > 0) result.prefill_tokens_per_s = static_cast<double>(prompt_tokens) / prefill_s;
  if (decode_s > 0 && result.ids.size() > 1)
    result.decode_tokens_per_s = static_cast<double>(result.ids.size() - 1) / decode_s;
  return result;
}

}  // namespace starling::partition
