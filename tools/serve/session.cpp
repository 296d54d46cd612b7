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
      stops_(settings_.stop) {
  if (settings_.grammar) matcher_.emplace(settings_.grammar, settings_.trie);
}

void Session::started(std::int64_t cached) {
  SessionEvent event;
  event.cached = cached;
  listener_(std::move(event));
}

std::optional<TokenId> Session::next(std::span<const float> logits) {
  try {
    return choose(logits);
  } catch (const core::Error& error) {
    // A grammar that no token can follow, logits that are no numbers: this sequence's end, not the engine's.
    ended(partition::Ending::failed, error);
    return std::nullopt;
  }
}

std::optional<TokenId> Session::choose(std::span<const float> logits) {
  const TokenId id = sampler_.sample(masked(logits), sequence_, static_cast<std::uint64_t>(written()), prompt_);
  if (tokenizer_.ends_generation(id)) {
    finish("stop");
    return std::nullopt;
  }
  SessionEvent event;
  if (settings_.logprobs) event.logprobs.push_back(logprob(logits, id));
  const std::string piece = tokenizer_.decode_next(sequence_.empty() ? -1 : sequence_.back(), id);
  sequence_.push_back(id);
  if (matcher_) matcher_->accept(id);
  event.tokens = written();
  event.text = stops_.push(piece);
  if (stops_.stopped() || (matcher_ && matcher_->must_end())) event.reason = "stop";
  else if (written() >= settings_.tokens) event.reason = "length";
  if (!event.reason.empty()) event.text += stops_.finish();
  const bool over = !event.reason.empty();
  listener_(std::move(event));
  return over ? std::nullopt : std::optional(id);
}

void Session::ended(partition::Ending ending, const core::Error& why) {
  if (ending == partition::Ending::context_full) return finish("length");
  SessionEvent event;
  event.tokens = written();
  if (ending == partition::Ending::cancelled) {
    event.text = stops_.finish();
    event.reason = "cancelled";
  } else {
    event.error = std::make_shared<ApiError>(as_api_error(why));
  }
  listener_(std::move(event));
}

/// The end of a text in which no stop string was found: nothing is held back any more.
void Session::finish(std::string reason) {
  SessionEvent event;
  event.tokens = written();
  event.text = stops_.finish();
  event.reason = std::move(reason);
  listener_(std::move(event));
}

/// Without what the grammar forbids.
std::span<const float> Session::masked(std::span<const float> logits) {
  if (!matcher_) return logits;
  masked_.assign(logits.begin(), logits.end());
  matcher_->mask(masked_);
  return masked_;
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
