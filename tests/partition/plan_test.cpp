// Shares become slices: whole units, nothing lost, nothing twice, zero stays zero.
#include "partition/plan.h"

#include <numeric>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using partition::deal;

namespace {

core::LlamaConfig config(std::int64_t kv_heads, std::int64_t ffn) {
  core::LlamaConfig c;
  c.width = 64;
  c.layers = 2;
  c.heads = kv_heads * 2;
  c.kv_heads = kv_heads;
  c.head_size = 8;
  c.ffn = ffn;
  c.vocabulary = 32;
  c.context = 64;
  return c;
}

}  // namespace

TEST_CASE("units are dealt by largest remainder and always add up") {
  CHECK(deal(4, std::vector<double>{1, 1, 1, 1}) == std::vector<std::int64_t>{1, 1, 1, 1});
  CHECK(deal(4, std::vector<double>{3, 1}) == std::vector<std::int64_t>{3, 1});
  CHECK(deal(10, std::vector<double>{.4, .3, .2, .1}) == std::vector<std::int64_t>{4, 3, 2, 1});
  CHECK(deal(2, std::vector<double>{1, 1, 1}) == std::vector<std::int64_t>{1, 1, 0});
  CHECK(deal(7, std::vector<double>{2, 1, 1}) == std::vector<std::int64_t>{3, 2, 2});
  for (std::int64_t units = 0; units < 40; ++units)
    for (int ranks = 1; ranks <= 9; ++ranks) {
      std::vector<double> shares;
      for (int i = 0; i < ranks; ++i) shares.push_back(1 + (i * 7 + units) % 5);
      const auto counts = deal(units, shares);
      CHECK(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}) == units);
    }
}

TEST_CASE("a share of zero gets no unit, even when others round up") {
  const auto counts = deal(5, std::vector<double>{1, 0, 1});
  CHECK(counts[1] == 0);
  CHECK(counts[0] + counts[2] == 5);
}

TEST_CASE("slices cover every kv head and every feed-forward column once, in order, cut at units") {
  for (const std::int64_t ffn : {32, 172, 176, 1024, 5632})
    for (const std::int64_t kv : {1, 4, 8})
      for (int ranks = 1; ranks <= 8; ++ranks) {
        const auto c = config(kv, ffn);
        std::vector<double> shares;
        for (int i = 0; i < ranks; ++i) shares.push_back(ranks - i);
        const auto cut = partition::slices(c, shares);
        std::int64_t kv_next = 0;
        std::int64_t ffn_next = 0;
        for (const auto& slice : cut) {
          CHECK(slice.kv_begin == kv_next);
          CHECK(slice.ffn_begin == ffn_next);
          CHECK((slice.ffn_begin % core::units(c).ffn_columns == 0 || slice.ffn_begin == ffn));
          kv_next = slice.kv_end;
          ffn_next = slice.ffn_end;
        }
        CHECK(kv_next == kv);
        CHECK(ffn_next == ffn);
      }
}

TEST_CASE("shares that make no sense are refused with the text that was given") {
  CHECK(partition::parse_shares("3:1:1", 3) == std::vector<double>{3, 1, 1});
  CHECK(partition::parse_shares("0.5:0", 2) == std::vector<double>{0.5, 0});
  for (const char* wrong : {"", "1", "1:2:3", "1:-1", "1:x", "0:0", "1:", "nan:1", "inf:1", "1:1 "}) {
    CAPTURE(wrong);
    try {
      partition::parse_shares(wrong, 2);
      FAIL("accepted");
    } catch (const core::Error& error) {
      CHECK(error.kind() == core::Kind::usage);
      CHECK(std::string(error.what()).find("--shares") != std::string::npos);
    }
  }
}
