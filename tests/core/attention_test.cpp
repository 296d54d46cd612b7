// Attention over the cache: chunks by absolute position, so that no batch or chunking changes a bit.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/attention.h"
#include "core/quant/blocks.h"
#include "tests/oracle/random.h"
#include "tests/oracle/targets.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

struct Case {
  std::int64_t heads, kv_heads, head_size, positions;
};
constexpr Case kCases[] = {{1, 1, 2, 5}, {4, 2, 16, 70}, {8, 1, 64, 33}, {6, 3, 32, 100}, {3, 3, 20, 64}, {2, 1, 130, 40}};

struct Cache {
  Tensor keys, values;
  CacheView view;
};

Cache random_cache(Type type, const Case& c, float scale = 1.0f) {
  Cache cache{random_tensor(type, {c.kv_heads * c.positions, c.head_size}, 21, scale),
              random_tensor(type, {c.kv_heads * c.positions, c.head_size}, 22), {}};
  cache.view = {type, c.kv_heads, c.positions, c.head_size, cache.keys.bytes().data(), cache.values.bytes().data()};
  return cache;
}

std::vector<float> run(const Cache& cache, const Case& c, std::span<const float> query, std::int64_t rows, std::int64_t position,
                       int threads = 1) {
  Pool pool(threads);
  std::vector<float> out(query.size(), -7);
  const AttentionPart part{cache.view, position, rows};
  attention(query, c.heads, {&part, 1}, out, pool);
  return out;
}

/// Softmax attention of one query head in double.
std::vector<double> plain(const Cache& cache, const Case& c, std::span<const float> query, std::int64_t head, std::int64_t position) {
  const Tensor keys = to_float(cache.keys), values = to_float(cache.values);
  const auto size = static_cast<std::size_t>(c.head_size);
  const auto first = static_cast<std::size_t>(head / (c.heads / c.kv_heads) * c.positions);
  std::vector<double> weights, out(size, 0.0);
  double total = 0;
  for (std::size_t j = 0; j <= static_cast<std::size_t>(position); ++j) {
    double score = 0;
    const auto key = keys.floats().subspan((first + j) * size, size);
    for (std::size_t k = 0; k < size; ++k) score += static_cast<double>(query[k]) * static_cast<double>(key[k]);
    weights.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
    total += weights.back();
  }
  for (std::size_t j = 0; j < weights.size(); ++j)
    for (std::size_t k = 0; k < size; ++k) out[k] += weights[j] / total * static_cast<double>(values.floats()[(first + j) * size + k]);
  return out;
}

bool holds(Type type, const Case& c) { return c.head_size % info(type).block_length == 0; }

}  // namespace

TEST_CASE("attention agrees with softmax in double for all cache types, shapes and targets") {
  for (const std::int64_t target : all_targets()) {
    const OnlyTargets only(target);
    CAPTURE(std::string(hwy::TargetName(target)));
    for (const Case& c : kCases)
      for (const Type type : {Type::f32, Type::f16, Type::q8_0}) {
        if (!holds(type, c)) continue;
        CAPTURE(c.head_size);
        const Cache cache = random_cache(type, c);
        const auto query = random_floats(static_cast<std::size_t>(c.positions * c.heads * c.head_size), 23);
        const auto out = run(cache, c, query, c.positions, 0);
        double worst = 0;
        for (const std::int64_t row : {std::int64_t{0}, c.positions / 2, c.positions - 1})
          for (std::int64_t head = 0; head < c.heads; ++head) {
            const auto at = static_cast<std::size_t>((row * c.heads + head) * c.head_size);
            const auto exact = plain(cache, c, std::span(query).subspan(at), head, row);
            for (std::size_t k = 0; k < exact.size(); ++k) worst = std::max(worst, std::abs(out[at + k] - exact[k]));
          }
        CHECK(worst < 2e-6);
      }
  }
}

TEST_CASE("a row of attention has the same bits alone, in any batch, on any threads and target with FMA") {
  for (const Case& c : kCases)
    for (const Type type : {Type::f32, Type::f16, Type::q8_0}) {
      if (!holds(type, c)) continue;
      const Cache cache = random_cache(type, c);
      const auto row_size = static_cast<std::size_t>(c.heads * c.head_size);
      const auto query = random_floats(static_cast<std::size_t>(c.positions) * row_size, 24);
      const auto whole = run(cache, c, query, c.positions, 0);
      for (const int threads : {2, 3}) CHECK(run(cache, c, query, c.positions, 0, threads) == whole);
      for (const std::int64_t chunk : {1, 3, 7, 32}) {
        std::vector<float> parts;
        for (std::int64_t row = 0; row < c.positions; row += chunk) {
          const std::int64_t rows = std::min(chunk, c.positions - row);
          const auto begin = static_cast<std::size_t>(row) * row_size, size = static_cast<std::size_t>(rows) * row_size;
          const auto part = run(cache, c, std::span(query).subspan(begin, size), rows, row);
          parts.insert(parts.end(), part.begin(), part.end());
        }
        CHECK(parts == whole);
      }
      for (const std::int64_t target : all_targets()) {
        if (!has_fma(target)) continue;
        const OnlyTargets only(target);
        CHECK(run(cache, c, query, c.positions, 0) == whole);
      }
    }
}

TEST_CASE("rows of several sequences in one call have the bits of a call each, with windows and caps too") {
  for (const Case& c : kCases)
    for (const AttentionRule& rule : {AttentionRule{}, AttentionRule{.scale = 0.3f, .cap = 2, .window = 37}}) {
      const auto row_size = static_cast<std::size_t>(c.heads * c.head_size);
      std::vector<Cache> caches;
      std::vector<AttentionPart> parts;
      std::vector<float> expected;
      const auto query = random_floats(32 * row_size, 26);
      Pool pool(1), pool_of_three(3);
      std::size_t first = 0;
      for (const std::int64_t rows : {1, 5, 2, 1}) {
        caches.push_back(random_cache(holds(Type::f16, c) ? Type::f16 : Type::f32, c, 1.0f + static_cast<float>(rows)));
        parts.push_back({caches.back().view, rows == 2 ? 0 : c.positions - rows, std::min(rows, c.positions)});
        const std::size_t size = static_cast<std::size_t>(rows) * row_size;
        std::vector<float> alone(size);
        attention(std::span(query).subspan(first, size), c.heads, {&parts.back(), 1}, alone, pool, rule);
        expected.insert(expected.end(), alone.begin(), alone.end());
        first += size;
      }
      std::vector<float> together(first);
      attention(std::span(query).first(first), c.heads, parts, together, pool, rule);
      CHECK(together == expected);
      attention(std::span(query).first(first), c.heads, parts, together, pool_of_three, rule);
      CHECK(together == expected);
    }
}

TEST_CASE("huge scores neither overflow nor lose the attended value, and NaN is passed on") {
  const Case c{2, 1, 32, 50};
  Cache cache = random_cache(Type::f32, c, 1e4f);
  auto query = random_floats(static_cast<std::size_t>(c.heads * c.head_size), 25, 1e4f);
  for (const float v : run(cache, c, query, 1, 49)) CHECK(std::abs(v) <= 1.0f);
  cache.keys.mutable_floats()[40 * 32] = std::nanf("");
  for (const float v : run(cache, c, query, 1, 49)) CHECK(std::isnan(v));
  for (const float v : run(cache, c, query, 1, 39)) CHECK(std::abs(v) <= 1.0f);  // does not see position 40
}
