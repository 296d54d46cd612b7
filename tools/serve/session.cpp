#include "tools/serve/session.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace starling::tools {

using core::TokenId;

Session::Session(const core::Tokenizer& tokenizer, std::vector<TokenId> prompt, SessionSettings settings, Listener listener)
    : tokenizer_(tokenizer),
      settings_(std::move(settings)),
      listener_(std::move(listener)),
      sampler_(settings_.sampler),
      sequence_(std::move(prompt)),
      prompt_(sequence_.size()),
      stops_(settings_.stop) {}

void Session::started(std::int64_t cached) {
  SessionEvent event;
  event.cached = cached;
  listener_(std::move(event));
}

std::optional<TokenId> Session::next(std::span<const float> logits) {
  const auto step = static_cast<std::uint64_t>(written());
  const TokenId id = sampler_.sample(biased(logits), sequence_, step);
  if (tokenizer_.ends_generation(id)) {
    finish("stop");
    return std::nullopt;
  }
  SessionEvent event;
  if (settings_.logprobs) event.logprobs.push_back(logprob(logits, id));
  const std::string piece = tokenizer_.decode_next(sequence_.empty() ? -1 : sequence_.back(), id);
  sequence_.push_back(id);
  event.tokens = written();
  event.text = characters_.push(stops_.push(piece));
  const bool full = written() >= settings_.tokens;
  if (stops_.stopped() || full) {
    event.text += stops_.stopped() ? characters_.finish() : characters_.push(stops_.finish()) + characters_.finish();
    event.reason = stops_.stopped() ? "stop" : "length";
  }
  const bool over = !event.reason.empty();
  listener_(std::move(event));
  return over ? std::nullopt : std::optional(id);
}

void Session::ended(partition::Ending ending, const core::Error& why) {
  if (ending == partition::Ending::context_full) return finish("length");
  SessionEvent event;
  event.tokens = written();
  if (ending == partition::Ending::cancelled) event.reason = "cancelled";
  else event.error = std::make_shared<ApiError>(as_api_error(why));
  listener_(std::move(event));
}

/// The end of a text in which no stop string was found: nothing is held back any more.
void Session::finish(std::string reason) {
  SessionEvent event;
  event.tokens = written();
  event.text = characters_.push(stops_.finish()) + characters_.finish();
  event.reason = std::move(reason);
  listener_(std::move(event));
}

std::span<const float> Session::biased(std::span<const float> logits) {
  if (settings_.logit_bias.empty()) return logits;
  biased_.assign(logits.begin(), logits.end());
  for (const auto& [id, bias] : settings_.logit_bias)
    if (static_cast<std::size_t>(id) < biased_.size()) biased_[static_cast<std::size_t>(id)] += bias;
  return biased_;
}

TokenLogprob Session::logprob(std::span<const float> logits, TokenId id) const {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  const double normaliser = largest + std::log(sum);
  const auto text = [&](TokenId token) { return tokenizer_.decode_next(sequence_.empty() ? -1 : sequence_.back(), token); };
  TokenLogprob result{text(id), logits[static_cast<std::size_t>(id)] - normaliser, {}};
  const auto count = std::min(static_cast<std::size_t>(*settings_.logprobs), logits.size());
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), [&](TokenId a, TokenId b) {
    const float left = logits[static_cast<std::size_t>(a)], right = logits[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  });
  for (std::size_t i = 0; i < count; ++i)
    result.top.emplace_back(text(order[i]), logits[static_cast<std::size_t>(order[i])] - normaliser);
  return result;
}

}  // namespace starling::tools
