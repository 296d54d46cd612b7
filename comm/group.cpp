// All-reduces by size, counted and timed (see group.h).
#include "comm/group.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace starling::comm {
namespace {

std::vector<std::size_t> sizes_of(std::int64_t width, std::int64_t rows_max) {
  core::ensure(width > 0 && rows_max > 0, "a group needs rows of at least one element");
  std::vector<std::size_t> sizes{static_cast<std::size_t>(width)};
  if (rows_max > 1) sizes.push_back(static_cast<std::size_t>(width * rows_max));
  return sizes;
}

AllReduceUse use(std::string algorithm, const Histogram& times, std::uint64_t operand_bytes) {
  return {std::move(algorithm), times.count(), operand_bytes, times.quantile_us(0.5), times.quantile_us(0.99)};
}

}  // namespace

TransportGroup::TransportGroup(Transport& transport, std::string_view algorithm, core::Sum sum, std::int64_t width,
                               std::int64_t rows_max)
    : transport_(transport), selection_(select(transport, scratch_, algorithm, sum, sizes_of(width, rows_max))) {
  for (const Choice& choice : selection_.choices) {
    // A size between two measured ones goes with the nearer, as factors count.
    if (!routes_.empty())
      routes_.back().elements_max = static_cast<std::size_t>(
          std::sqrt(static_cast<double>(routes_.back().elements_max) * static_cast<double>(choice.elements)));
    routes_.push_back({choice.elements, &collective(choice.algorithm), {}, 0});
  }
  routes_.back().elements_max = std::numeric_limits<std::size_t>::max();
}

TransportGroup::Route& TransportGroup::route(std::size_t elements) {
  for (Route& r : routes_)
    if (elements <= r.elements_max) return r;
  return routes_.back();
}

template <class Call>
void TransportGroup::timed(std::size_t elements, std::size_t operand_bytes, Call call) {
  Route& r = route(elements);
  const auto begin = Clock::now();
  call(*r.collective);
  const Clock::duration took = Clock::now() - begin;
  waited_ += took;
  r.times.add(took);
  r.operand_bytes += operand_bytes;
}

void TransportGroup::all_reduce(std::span<double> parts, std::span<float> total) {
  timed(parts.size(), parts.size_bytes(),
        [&](const Collective& c) { c.sum_exact(transport_, scratch_, parts, total, kNoDeadline); });
}

void TransportGroup::all_reduce(std::span<float> parts) {
  timed(parts.size(), parts.size_bytes(),
        [&](const Collective& c) { c.sum_fast(transport_, scratch_, parts, kNoDeadline); });
}

std::vector<AllReduceUse> TransportGroup::uses() const {
  std::vector<AllReduceUse> result;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const Collective* c = routes_[i].collective;
    if (std::any_of(routes_.begin(), routes_.begin() + static_cast<std::ptrdiff_t>(i), [&](const Route& r) { return r.collective == c; }))
      continue;
    Histogram times;
    std::uint64_t bytes = 0;
    for (const Route& r : routes_) {
      if (r.collective != c) continue;
      times.merge(r.times);
      bytes += r.operand_bytes;
    }
    result.push_back(use(std::string(c->name), times, bytes));
  }
  return result;
}

AllReduceUse TransportGroup::overall() const {
  std::string names;
  for (const AllReduceUse& u : uses()) names += (names.empty() ? "" : ",") + u.algorithm;
  Histogram times;
  std::uint64_t bytes = 0;
  for (const Route& r : routes_) {
    times.merge(r.times);
    bytes += r.operand_bytes;
  }
  return use(std::move(names), times, bytes);
}

}  // namespace starling::comm
