#include "core/data/owners.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "core/random_stream.h"

namespace starling::core {
namespace {

RandomStream fixed_stream(std::uint64_t owner) { return {0, Purpose::data, {1, owner, 0}}; }

Examples pick(const Examples& from, std::span<const std::uint32_t> members) {
  Examples to;
  to.count = static_cast<std::int64_t>(members.size());
  to.values_each = from.values_each;
  to.labels_each = from.labels_each;
  for (const std::uint32_t m : members) {
    const auto values = from.values.begin() + static_cast<std::ptrdiff_t>(m) * from.values_each;
    to.values.insert(to.values.end(), values, values + from.values_each);
    const auto labels = from.labels.begin() + static_cast<std::ptrdiff_t>(m) * from.labels_each;
    to.labels.insert(to.labels.end(), labels, labels + from.labels_each);
  }
  return to;
}

}  // namespace

std::vector<bool> draw_tests(std::span<const std::int32_t> owners) {
  std::map<std::int32_t, std::vector<std::uint32_t>> by_owner;
  for (std::size_t i = 0; i < owners.size(); ++i) by_owner[owners[i]].push_back(static_cast<std::uint32_t>(i));
  std::vector<bool> testing(owners.size());
  for (auto& [owner, members] : by_owner) {
    fixed_stream(static_cast<std::uint64_t>(owner)).shuffle(std::span(members));
    for (std::size_t i = 0; i < members.size() / 5; ++i) testing[members[i]] = true;
  }
  return testing;
}

void shuffle_and_cut(std::vector<std::uint32_t>& members, std::int64_t max) {
  RandomStream(0, Purpose::data, {0, 0, 0}).shuffle(std::span(members));
  if (max > 0) members.resize(std::min(members.size(), static_cast<std::size_t>(max)));
}

void deal(Dataset& to, const Examples& all, std::span<const std::int32_t> owners, const std::vector<bool>& testing, std::int64_t train_max) {
  std::vector<std::uint32_t> train, test;
  for (std::size_t i = 0; i < testing.size(); ++i) (testing[i] ? test : train).push_back(static_cast<std::uint32_t>(i));
  shuffle_and_cut(train, train_max);
  to.train = pick(all, train);
  to.test = pick(all, test);
  to.owners.clear();
  for (const std::uint32_t i : train) to.owners.push_back(owners[i]);
}

void standardise(Dataset& data, std::int64_t run) {
  const Examples& train = data.train;
  ensure(run > 0 && train.values_each % run == 0 && data.test.values_each == train.values_each, "runs that do not divide the examples");
  const auto each = static_cast<std::size_t>(train.values_each), length = static_cast<std::size_t>(run);
  std::vector<double> sums(each / length), squares(sums.size()), counts(sums.size());
  for (std::size_t i = 0; i < train.values.size(); ++i) {
    const auto v = static_cast<double>(train.values[i]);
    if (std::isnan(v)) continue;
    sums[i % each / length] += v;
    counts[i % each / length] += 1;
  }
  for (std::size_t r = 0; r < sums.size(); ++r) sums[r] /= std::max(1.0, counts[r]);
  for (std::size_t i = 0; i < train.values.size(); ++i) {
    const double v = static_cast<double>(train.values[i]) - sums[i % each / length];
    if (!std::isnan(v)) squares[i % each / length] += v * v;
  }
  std::vector<double> factors(sums.size());
  for (std::size_t r = 0; r < sums.size(); ++r) {
    const double deviation = std::sqrt(squares[r] / std::max(1.0, counts[r]));
    factors[r] = deviation > 1e-9 * (1 + std::abs(sums[r])) ? 1 / deviation : 0;
  }
  for (Examples* e : {&data.train, &data.test})
    for (std::size_t i = 0; i < e->values.size(); ++i) {
      float& v = e->values[i];
      const std::size_t r = i % each / length;
      v = std::isnan(v) ? 0 : static_cast<float>((static_cast<double>(v) - sums[r]) * factors[r]);
    }
}

}  // namespace starling::core
