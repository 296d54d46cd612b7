#include "tools/serve/session.h"

#include <cmath>

#include <doctest/doctest.h>

namespace starling::tests {
namespace {

using core::TokenId;
using tools::Session;
using tools::SessionEvent;
using tools::SessionSettings;

/// Token i is piece i; the last one ends generation.
class Pieces final : public core::Tokenizer {
 public:
  explicit Pieces(std::vector<std::string> pieces) { vocabulary_.pieces = std::move(pieces); }
  std::vector<TokenId> encode(std::string_view, core::EncodeOptions) const override { return {}; }
  std::string decode(std::span<const TokenId> ids) const override {
    std::string text;
    for (const TokenId id : ids) text += decode_next(-1, id);
    return text;
  }
  std::string decode_next(TokenId, TokenId id) const override { return ends_generation(id) ? "" : vocabulary_.pieces.at(static_cast<std::size_t>(id)); }
  const core::Vocabulary& vocabulary() const override { return vocabulary_; }
  bool ends_generation(TokenId id) const override { return id + 1 == static_cast<TokenId>(vocabulary_.pieces.size()); }

 private:
  core::Vocabulary vocabulary_;
};

const Pieces kPieces({"a", "b", "\xc3", "\xa9", "END", "</s>"});

/// Everything that a session says when the model wants `wanted`, one after the other.
std::vector<SessionEvent> run(SessionSettings settings, const std::vector<TokenId>& wanted) {
  std::vector<SessionEvent> events;
  if (settings.tokens == 0) settings.tokens = 100;
  Session session(kPieces, {0}, settings, [&](SessionEvent event) { events.push_back(std::move(event)); });
  session.started(0);
  for (const TokenId id : wanted) {
    std::vector<float> logits(6, 0.0f);
    logits[static_cast<std::size_t>(id)] = 5;
    const auto chosen = session.next(logits);
    if (!chosen) break;
    CHECK(*chosen == id);
  }
  return events;
}

std::string text_of(const std::vector<SessionEvent>& events) {
  std::string text;
  for (const SessionEvent& event : events) text += event.text;
  return text;
}

TEST_CASE("a session ends at the end token, at its length and at a stop string, which it never shows") {
  auto events = run({}, {0, 1, 5, 0});
  CHECK(text_of(events) == "ab");
  CHECK(events.back().reason == "stop");
  CHECK(events.back().tokens == 2);
  SessionSettings two;
  two.tokens = 2;
  events = run(two, {0, 1, 0});
  CHECK(text_of(events) == "ab");
  CHECK(events.back().reason == "length");
  SessionSettings stop;
  stop.stop = {"bENDa", "bb"};
  events = run(stop, {0, 1, 4, 0, 1});
  CHECK(text_of(events) == "a");
  CHECK(events.back().reason == "stop");
  CHECK(events.back().tokens == 4);
  // What looked like the beginning of a stop string comes out in the end.
  CHECK(text_of(run(stop, {0, 1, 4, 5})) == "abEND");
  CHECK(text_of(run(stop, {1, 0, 1, 1})) == "ba");
}

TEST_CASE("only whole characters are shown, and broken ones when nothing else can come") {
  const auto events = run({}, {2, 3, 0, 2, 5});
  REQUIRE(events.size() == 6);
  CHECK(events[1].text.empty());
  CHECK(events[2].text == "\xc3\xa9");
  CHECK(events[3].text == "a");
  CHECK(events[5].text == "\xc3");
}

TEST_CASE("logprobs are those of the logits as the model gave them") {
  SessionSettings settings;
  settings.logprobs = 2;
  settings.sampler.logit_bias = {{0, -100.0f}};
  settings.tokens = 1;
  std::vector<SessionEvent> events;
  Session session(kPieces, {}, settings, [&](SessionEvent event) { events.push_back(std::move(event)); });
  // Token 0 is the likeliest, but may not be chosen.
  const std::vector<float> logits{2, 1, 0, 0, 0, 0};
  CHECK_FALSE(session.next(logits));
  REQUIRE(events.back().logprobs.size() == 1);
  const auto& logprob = events.back().logprobs[0];
  CHECK(logprob.token == "b");
  const double sum = std::exp(2.0) + std::exp(1.0) + 4;
  CHECK(logprob.logprob == doctest::Approx(1 - std::log(sum)));
  REQUIRE(logprob.top.size() == 2);
  CHECK(logprob.top[0].first == "a");
  CHECK(logprob.top[0].second == doctest::Approx(2 - std::log(sum)));
}

TEST_CASE("presence is penalised of what was written, not of the prompt") {
  SessionSettings settings;
  settings.sampler.presence_penalty = 1;
  settings.tokens = 3;
  std::vector<SessionEvent> events;
  Session session(kPieces, {0}, settings, [&](SessionEvent event) { events.push_back(std::move(event)); });
  const std::vector<float> logits{2, 1.5f, 0, 0, 0, 0};
  CHECK(session.next(logits) == 0);
  CHECK(session.next(logits) == 1);
  CHECK_FALSE(session.next(logits));
  CHECK(text_of(events) == "aba");
}

TEST_CASE("a full context is an end of length, a lost cluster an error") {
  std::vector<SessionEvent> events;
  SessionSettings settings;
  settings.tokens = 10;
  Session full(kPieces, {}, settings, [&](SessionEvent event) { events.push_back(std::move(event)); });
  full.ended(partition::Ending::context_full, core::Error(core::Kind::usage, "full"));
  CHECK(events.back().reason == "length");
  Session lost(kPieces, {}, settings, [&](SessionEvent event) { events.push_back(std::move(event)); });
  lost.ended(partition::Ending::failed, core::Error(core::Kind::unreachable, "node-2 is gone"));
  REQUIRE(events.back().error);
  CHECK(events.back().error->status() == 503);
}

}  // namespace
}  // namespace starling::tests
