#include "federated/robust.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace starling::federated {
namespace {

using core::Kind;

std::size_t length_of(Updates updates) {
  core::ensure(!updates.empty(), "a rule over no updates");
  for (const auto& u : updates) core::ensure(u.size() == updates.front().size(), "updates of unequal lengths");
  return updates.front().size();
}

/// result[i] = f(the i-th values of all updates, in an array that f may reorder).
template <class F>
std::vector<float> each_coordinate(Updates updates, F f) {
  const std::size_t n = length_of(updates);
  std::vector<float> result(n), column(updates.size());
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < updates.size(); ++k) column[k] = updates[k][i];
    result[i] = f(column);
  }
  return result;
}

double middle(const std::vector<float>& sorted) {
  const std::size_t m = sorted.size(), half = m / 2;
  return m % 2 == 1 ? static_cast<double>(sorted[half]) : (static_cast<double>(sorted[half - 1]) + static_cast<double>(sorted[half])) / 2;
}

/// Scores among the updates named by `members`.
std::vector<double> scores_among(const std::vector<double>& distances, std::size_t m, const std::vector<std::size_t>& members, std::size_t f) {
  const std::size_t near = members.size() > f + 2 ? members.size() - f - 2 : 1;
  std::vector<double> scores;
  for (const std::size_t i : members) {
    std::vector<double> to;
    for (const std::size_t j : members)
      if (j != i) to.push_back(distances[i * m + j]);
    std::sort(to.begin(), to.end());
    scores.push_back(std::accumulate(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(std::min(near, to.size())), 0.0));
  }
  return scores;
}

std::vector<std::size_t> best(const std::vector<double>& scores, std::size_t count) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  order.resize(std::min(count, order.size()));
  return order;
}

std::vector<std::size_t> all_of(std::size_t m) {
  std::vector<std::size_t> members(m);
  std::iota(members.begin(), members.end(), std::size_t{0});
  return members;
}

}  // namespace

std::vector<float> median(Updates updates) {
  return each_coordinate(updates, [](std::vector<float>& column) {
    std::sort(column.begin(), column.end());
    return static_cast<float>(middle(column));
  });
}

std::vector<float> trimmed_mean(Updates updates, double share) {
  core::check(share >= 0 && share < 0.5, Kind::usage, "trimmed mean: a share of {}, expected 0 to below 0.5", share);
  const auto cut = static_cast<std::size_t>(share * static_cast<double>(updates.size()));
  core::check(2 * cut < updates.size(), Kind::refused, "trimmed mean: nothing is left of {} updates without {} at either end", updates.size(), cut);
  return each_coordinate(updates, [&](std::vector<float>& column) {
    std::sort(column.begin(), column.end());
    double sum = 0;
    for (std::size_t k = cut; k < column.size() - cut; ++k) sum += static_cast<double>(column[k]);
    return static_cast<float>(sum / static_cast<double>(column.size() - 2 * cut));
  });
}

std::vector<double> squared_distances(Updates updates) {
  const std::size_t n = length_of(updates), m = updates.size();
  constexpr std::size_t kBlock = 4096;  // coordinates of all updates that stay in the cache
  std::vector<double> distances(m * m);
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t end = std::min(n, begin + kBlock);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = i + 1; j < m; ++j) {
        // Four chains: the compiler may not reorder a sum, so we do.
        double sum[4] = {};
        for (std::size_t k = begin; k < end; ++k) {
          const double d = static_cast<double>(updates[i][k]) - static_cast<double>(updates[j][k]);
          sum[k % 4] += d * d;
        }
        distances[i * m + j] += (sum[0] + sum[2]) + (sum[1] + sum[3]);
      }
  }
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < i; ++j) distances[i * m + j] = distances[j * m + i];
  return distances;
}

std::vector<double> krum_scores(Updates updates, std::size_t f) {
  return scores_among(squared_distances(updates), updates.size(), all_of(updates.size()), f);
}

std::vector<std::size_t> krum_select(Updates updates, std::size_t f, std::size_t count) {
  core::check(updates.size() >= 2 * f + 3, Kind::refused, "krum: {} updates, expected at least {} for {} hostile ones", updates.size(), 2 * f + 3, f);
  return best(krum_scores(updates, f), count);
}

std::vector<float> bulyan(Updates updates, std::size_t f, BulyanSelection selection) {
  const std::size_t m = updates.size();
  core::check(m >= 4 * f + 3, Kind::refused, "bulyan: {} updates, expected at least {} for {} hostile ones", m, 4 * f + 3, f);
  const std::size_t chosen_count = m - 2 * f, averaged = chosen_count - 2 * f;
  std::vector<std::span<const float>> chosen;
  if (selection == BulyanSelection::oneshot) {
    for (const std::size_t i : best(krum_scores(updates, f), chosen_count)) chosen.push_back(updates[i]);
  } else {
    const std::vector<double> distances = squared_distances(updates);
    std::vector<std::size_t> left = all_of(m);
    while (chosen.size() < chosen_count) {
      const std::size_t winner = best(scores_among(distances, m, left, f), 1).front();
      chosen.push_back(updates[left[winner]]);
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(winner));
    }
  }
  return each_coordinate(chosen, [&](std::vector<float>& column) {
    std::sort(column.begin(), column.end());
    const double centre = middle(column);
    // The nearest values to the middle of a sorted list stand side by side: the window that reaches least far.
    std::size_t begin = 0;
    const auto reach = [&](std::size_t b) {
      return std::max(centre - static_cast<double>(column[b]), static_cast<double>(column[b + averaged - 1]) - centre);
    };
    for (std::size_t b = 1; b + averaged <= column.size(); ++b)
      if (reach(b) < reach(begin)) begin = b;
    double sum = 0;
    for (std::size_t k = begin; k < begin + averaged; ++k) sum += static_cast<double>(column[k]);
    return static_cast<float>(sum / static_cast<double>(averaged));
  });
}

}  // namespace starling::federated
