// One sequence being written: chooses tokens from the engine's logits and turns them into events: whole characters,
// log-probabilities, and the end. The same for the server and for a conversation in the terminal.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/text/grammar/matcher.h"
#include "core/text/sampler.h"
#include "core/text/stop_strings.h"
#include "core/text/tokenizer.h"
#include "partition/engine.h"
#include "tools/serve/api_error.h"
#include "tools/serve/openai_reply.h"

namespace starling::tools {

struct SessionSettings {
  core::SamplerSettings sampler;
  std::int64_t tokens = 0;  // most to write, at least 1
  std::vector<std::string> stop;
  std::optional<int> logprobs;
  /// What the text must follow; null: nothing.
  std::shared_ptr<const core::Grammar> grammar;
  std::shared_ptr<const core::TokenTrie> trie;  // of the vocabulary, with a grammar
};

/// What happened since the last event. An event with a reason or an error is the last.
struct SessionEvent {
  std::string text;
  std::vector<TokenLogprob> logprobs;
  std::optional<std::int64_t> cached;  // the first event: the prompt's computation begins
  std::int64_t tokens = 0;             // written so far
  std::string reason;                  // stop or length; cancelled when nobody waits any more
  std::shared_ptr<const ApiError> error;
};

class Session final : public partition::Decoder {
 public:
  /// `listener` is called on the engine's thread and must not wait. `tokenizer` must outlive this.
  using Listener = std::function<void(SessionEvent)>;
  Session(const core::Tokenizer& tokenizer, std::vector<core::TokenId> prompt, SessionSettings settings, Listener listener);

  void started(std::int64_t cached) override;
  std::optional<core::TokenId> next(std::span<const float> logits) override;
  void ended(partition::Ending ending, const core::Error& why) override;

 private:
  std::optional<core::TokenId> choose(std::span<const float> logits);
  std::span<const float> masked(std::span<const float> logits);
  TokenLogprob logprob(std::span<const float> logits, core::TokenId id) const;
  void finish(std::string reason);
  std::int64_t written() const { return static_cast<std::int64_t>(sequence_.size() - prompt_); }

  const core::Tokenizer& tokenizer_;
  SessionSettings settings_;
  Listener listener_;
  core::Sampler sampler_;
  std::vector<core::TokenId> sequence_;  // prompt and what is written
  std::size_t prompt_;
  core::StopStrings stops_;
  std::optional<core::GrammarMatcher> matcher_;
  std::vector<float> masked_;
};

}  // namespace starling::tools
