#include "tools/bench/combinations.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <sstream>
#include <tuple>

#include "core/error.h"

namespace starling::tools::bench {
namespace {

constexpr std::size_t kAxes = 6;
using Values = std::array<std::string, kAxes>;
using Pair = std::tuple<std::size_t, std::string, std::size_t, std::string>;

Values values_of(const Combination& c) {
  return {c.transport, std::to_string(c.ranks), std::to_string(c.model), c.shares, c.algorithm, std::to_string(c.chunk)};
}

std::vector<Pair> pairs_of(const Combination& combination) {
  const Values values = values_of(combination);
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < kAxes; ++i)
    for (std::size_t j = i + 1; j < kAxes; ++j) pairs.emplace_back(i, values[i], j, values[j]);
  return pairs;
}

template <class Number>
Number number(const std::string& text, const std::string& whole) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  core::check(error == std::errc() && end == text.data() + text.size() && !text.empty(), core::Kind::usage,
              "'{}' is no combination: '{}' is no number", whole, text);
  return value;
}

}  // namespace

std::vector<Combination> combinations(const Axes& axes) {
  std::vector<Combination> all;
  for (const std::string& transport : axes.transports)
    for (const int ranks : axes.ranks)
      for (std::size_t model = 0; model < axes.models; ++model)
        for (const std::string& shares : axes.shares)
          for (const std::string& algorithm : axes.algorithms)
            for (const std::int64_t chunk : axes.chunks)
              if (ranks > 1 || (shares == axes.shares.front() && algorithm == axes.algorithms.front()))
                all.push_back({transport, ranks, model, shares, algorithm, chunk});
  return all;
}

std::vector<Combination> covering_pairs(const std::vector<Combination>& all) {
  std::set<Pair> missing;
  std::vector<std::vector<Pair>> pairs;
  for (const Combination& combination : all) {
    pairs.push_back(pairs_of(combination));
    missing.insert(pairs.back().begin(), pairs.back().end());
  }
  std::vector<bool> chosen(all.size());
  while (!missing.empty()) {
    std::size_t best = 0, best_new = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto fresh = std::count_if(pairs[i].begin(), pairs[i].end(), [&](const Pair& pair) { return missing.count(pair) > 0; });
      if (static_cast<std::size_t>(fresh) <= best_new) continue;
      best = i;
      best_new = static_cast<std::size_t>(fresh);
    }
    chosen[best] = true;
    for (const Pair& pair : pairs[best]) missing.erase(pair);
  }
  std::vector<Combination> some;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (chosen[i]) some.push_back(all[i]);
  return some;
}

std::string to_text(const Combination& c) {
  return fmt::format("{}:{}:{}:{}", c.model, c.shares, c.algorithm, c.chunk);
}

Combination parse_combination(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> parts;
  for (std::string part; std::getline(in, part, ':');) parts.push_back(part);
  core::check(parts.size() == 4, core::Kind::usage, "'{}' is no combination, expected MODEL:SHARES:ALLREDUCE:CHUNK", text);
  Combination combination;
  combination.model = number<std::size_t>(parts[0], text);
  combination.shares = parts[1];
  combination.algorithm = parts[2];
  combination.chunk = number<std::int64_t>(parts[3], text);
  return combination;
}

}  // namespace starling::tools::bench
