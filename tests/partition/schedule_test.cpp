// The scheduler by hand and at random, against caches that only remember which tokens they hold.
#include "partition/schedule.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using core::TokenId;
using partition::Schedule;
using partition::SequenceId;
using partition::Turn;

namespace {

/// `count` tokens that follow from `kind`: two kinds share nothing.
std::vector<TokenId> tokens_of(TokenId kind, std::size_t count) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(kind * 1000 + static_cast<TokenId>(i));
  return tokens;
}

std::vector<TokenId> joined(std::vector<TokenId> a, const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// "id@slot:position+rows" of every turn; "<source" for a copy, "!" for the last.
std::string describe(std::span<const Turn> turns) {
  std::string text;
  for (const Turn& t : turns) {
    text += (text.empty() ? "" : " ") + std::to_string(t.id) + "@" + std::to_string(t.slot);
    if (t.source != t.slot) text += "<" + std::to_string(t.source);
    text += ":" + std::to_string(t.position) + "+" + std::to_string(t.tokens.size()) + (t.last ? "!" : "");
  }
  return text;
}

std::string next_step(Schedule& schedule) {
  const std::string text = describe(schedule.plan());
  schedule.computed();
  return text;
}

}  // namespace

TEST_CASE("those that write come first, then prompts in pieces and in the order of arrival") {
  Schedule s({.sequences = 4, .positions = 100, .rows = 10});
  s.arrive(1, tokens_of(1, 3));
  s.arrive(2, tokens_of(2, 15));
  s.arrive(3, tokens_of(3, 4));
  CHECK(next_step(s) == "1@0:0+3! 2@1:0+7");
  REQUIRE(s.append(1, 7));
  CHECK(next_step(s) == "1@0:3+1! 2@1:7+8! 3@2:0+1");
  REQUIRE(s.append(1, 8));
  REQUIRE(s.append(2, 9));
  s.arrive(4, tokens_of(4, 20));
  s.arrive(5, tokens_of(5, 1));
  CHECK(next_step(s) == "1@0:4+1! 2@1:15+1! 3@2:1+3! 4@3:0+5");
  CHECK(s.running() == 4);
  CHECK(s.waiting() == 1);
  for (const SequenceId id : {1, 2, 3}) REQUIRE(s.append(id, 1));
  CHECK(next_step(s) == "1@0:5+1! 2@1:16+1! 3@2:4+1! 4@3:5+7");
  CHECK(s.end(2));
  REQUIRE(s.append(1, 1));
  CHECK(next_step(s) == "1@0:6+1! 4@3:12+8! 5@1:0+1!");
  CHECK(s.positions_used() == 7 + 1 + 5 + 20);
}

TEST_CASE("a prompt goes on from the longest beginning that a slot holds; its last token is always computed") {
  Schedule s({.sequences = 2, .positions = 100, .rows = 64});
  s.arrive(1, tokens_of(1, 40));
  CHECK(next_step(s) == "1@0:0+40!");
  CHECK(s.end(1));
  s.arrive(2, tokens_of(1, 40));
  CHECK(next_step(s) == "2@0:39+1!");
  s.arrive(3, joined(tokens_of(1, 30), tokens_of(2, 5)));  // the other sequence still runs: a copy
  CHECK(next_step(s) == "3@1<0:30+5!");
  CHECK(s.end(2));
  CHECK(s.end(3));
  s.arrive(4, joined(tokens_of(1, 30), tokens_of(2, 6)));
  CHECK(next_step(s) == "4@1:35+1!");
}

TEST_CASE("what a short common beginning would push out stays, and the slot longest unused goes") {
  Schedule s({.sequences = 3, .positions = 100, .rows = 64});
  for (const SequenceId id : {1, 2}) {
    s.arrive(id, tokens_of(static_cast<TokenId>(id), 60));
    next_step(s);
    CHECK(s.end(id));
  }
  s.arrive(3, joined(tokens_of(2, 20), tokens_of(9, 4)));  // 20 of 60: a copy to the unused slot
  CHECK(next_step(s) == "3@2<1:20+4!");
  CHECK(s.end(3));
  s.arrive(4, joined(tokens_of(2, 8), tokens_of(8, 4)));  // too short to be worth a copy
  CHECK(next_step(s) == "4@0:0+12!");
  CHECK(s.end(4));
  s.arrive(5, tokens_of(2, 60));
  CHECK(next_step(s) == "5@1:59+1!");
}

TEST_CASE("a prompt waits while another computes what both begin with, and without reuse it does not") {
  for (const bool reuse : {true, false}) {
    Schedule s({.sequences = 3, .positions = 200, .rows = 64, .reuse_prefixes = reuse});
    s.arrive(1, tokens_of(1, 100));
    s.arrive(2, joined(tokens_of(1, 96), tokens_of(2, 4)));
    CHECK(next_step(s) == "1@0:0+64");
    CHECK(next_step(s) == (reuse ? "1@0:64+36!" : "1@0:64+36! 2@1:0+28"));
    REQUIRE(s.append(1, 5));
    CHECK(next_step(s) == (reuse ? "1@0:100+1! 2@1<0:96+4!" : "1@0:100+1! 2@1:28+63"));
  }
}

TEST_CASE("a prompt of which every row is wanted finds nothing, but leaves its rows to others") {
  Schedule s({.sequences = 2, .positions = 100, .rows = 64});
  s.arrive(1, tokens_of(1, 30), true);
  CHECK(next_step(s) == "1@0:0+30!");
  CHECK(s.end(1));
  s.arrive(2, tokens_of(1, 30), true);
  CHECK(next_step(s) == "2@1:0+30!");
  s.arrive(3, tokens_of(1, 30));
  CHECK(next_step(s) == "3@0:29+1!");
}

TEST_CASE("a sequence ends where its slot does, after one token more") {
  Schedule s({.sequences = 1, .positions = 4, .rows = 4});
  s.arrive(1, tokens_of(1, 3));
  CHECK(next_step(s) == "1@0:0+3!");
  CHECK(s.append(1, 7));
  CHECK(next_step(s) == "1@0:3+1!");
  CHECK_FALSE(s.append(1, 8));
  CHECK(s.idle());
  CHECK_FALSE(s.end(1));
  CHECK_THROWS_AS(s.arrive(2, tokens_of(1, 5)), core::Error);
}

TEST_CASE("after a failed step nothing of it is taken for computed") {
  Schedule s({.sequences = 3, .positions = 100, .rows = 64});
  s.arrive(1, tokens_of(1, 40));
  next_step(s);
  REQUIRE(s.append(1, 3));
  s.arrive(2, tokens_of(1, 30));
  CHECK(describe(s.plan()) == "1@0:40+1! 2@1<0:29+1!");
  s.abandoned();
  CHECK(s.idle());
  CHECK(s.positions_used() == 40);
  s.arrive(3, tokens_of(1, 41));
  CHECK(next_step(s) == "3@0:40+1!");
}

TEST_CASE("random arrivals, tokens and cancellations: no request is lost, no cache holds other tokens than it should") {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) { return random() % n; };
    const std::int64_t sequences = 1 + static_cast<std::int64_t>(below(5));
    const std::int64_t rows_max = sequences + static_cast<std::int64_t>(below(20));
    Schedule s({.sequences = sequences, .positions = 60, .rows = rows_max, .reuse_prefixes = seed % 4 != 0});
    std::vector<std::vector<TokenId>> caches(static_cast<std::size_t>(sequences));
    std::map<SequenceId, std::vector<TokenId>> open;  // what each request should have computed in the end
    std::vector<SequenceId> order;                    // those that wait
    SequenceId last = 0;
    const auto close = [&](SequenceId id) { open.erase(id), std::erase(order, id); };
    for (int event = 0; event < 1500 || !open.empty(); ++event) {
      REQUIRE(event < 5000);
      if (event < 1500 && open.size() < 20 && below(3) == 0) {
        auto prompt = tokens_of(static_cast<TokenId>(below(3)), 1 + below(40));
        if (below(2) == 0) prompt.push_back(static_cast<TokenId>(below(50)));
        open[++last] = prompt;
        order.push_back(last);
        s.arrive(last, prompt, below(8) == 0);
      }
      if (!open.empty() && below(20) == 0) {
        const SequenceId id = std::next(open.begin(), static_cast<std::ptrdiff_t>(below(open.size())))->first;
        CHECK(s.end(id));
        CHECK_FALSE(s.end(id));
        close(id);
      }
      const auto planned = s.plan();
      const std::vector<Turn> turns(planned.begin(), planned.end());
      CHECK(turns.empty() == open.empty());
      std::int64_t rows = 0;
      std::set<std::int64_t> slots;
      for (const Turn& t : turns) {
        auto& cache = caches[static_cast<std::size_t>(t.slot)];
        const auto position = static_cast<std::size_t>(t.position);
        if (t.source != t.slot) cache = caches[static_cast<std::size_t>(t.source)];
        REQUIRE(cache.size() >= position);
        cache.resize(position);
        CHECK(std::equal(cache.begin(), cache.end(), open[t.id].begin()));
        if (t.first) CHECK(order.front() == t.id);
        if (t.first) order.erase(order.begin());
      }
      for (const Turn& t : turns) {
        auto& cache = caches[static_cast<std::size_t>(t.slot)];
        cache.insert(cache.end(), t.tokens.begin(), t.tokens.end());
        CHECK(slots.insert(t.slot).second);
        rows += static_cast<std::int64_t>(t.tokens.size());
      }
      s.computed();
      CHECK(rows <= rows_max);
      for (const Turn& t : turns) {
        if (!t.last) continue;
        CHECK(caches[static_cast<std::size_t>(t.slot)] == open[t.id]);
        const TokenId token = static_cast<TokenId>(below(50));
        if (below(10) == 0) {
          CHECK(s.end(t.id));
          close(t.id);
        } else if (s.append(t.id, token)) {
          open[t.id].push_back(token);
        } else {
          CHECK(open[t.id].size() == 60);
          close(t.id);
        }
      }
    }
    CHECK(s.idle());
  }
}
