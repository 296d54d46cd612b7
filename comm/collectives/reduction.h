// What the all-reduce algorithms share: one segment of one call, operands taken in as they arrive, the two ways
// of adding. An algorithm is a struct with
//
//   template <class Part> static void reduce(const Reduction<Part>&);   // at least 2 ranks, 1 element
//   static Work work(Rank ranks, Payload payload);
//
// With Part = double the parts lie on a grid and their sum is exact: operands are added as they come, and a
// complete sum is rounded once and travels on as F32. With Part = float they are added in rank order, so that
// the result depends on nothing but the operands.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "comm/collective.h"

namespace starling::comm {

template <class Part>
struct Reduction {
  Transport& transport;
  Scratch& scratch;
  std::span<Part> parts;   // this rank's operand, afterwards scratch
  std::span<float> total;  // the result; for float the same memory as parts
  Deadline deadline;

  Rank rank() const { return transport.rank(); }
  Rank size() const { return transport.size(); }

  template <class T>
  void send(Rank to, std::span<T> values) const {
    transport.send(to, Kind::reduce, std::as_bytes(values), deadline);
  }
  template <class T>
  void receive(Rank from, std::span<T> values) const {
    comm::receive(transport, from, Kind::reduce, std::as_writable_bytes(values), deadline);
  }
};

// Scratch buffers of the algorithms.
inline constexpr std::size_t kSlots = 0;     // operands of other ranks
inline constexpr std::size_t kSources = 1;   // ranks that have yet to be heard
inline constexpr std::size_t kOrder = 2;     // the same ranks, kept in order
inline constexpr std::size_t kOperands = 3;  // where the operands of an ordered sum lie

/// All ranks from `begin` to `end` but `self`, in an array of the scratch.
std::span<Rank> others(Scratch& scratch, Rank begin, Rank end, Rank self);

void add(std::span<double> sum, std::span<const double> operand);
void add(std::span<float> sum, std::span<const float> operand);
/// sum = ((operands[0] + operands[1]) + operands[2]) + ...; `sum` may be one of them.
void add_in_order(std::span<const float* const> operands, std::span<float> sum);

inline void round_to(std::span<const double> sum, std::span<float> total) {
  for (std::size_t i = 0; i < sum.size(); ++i) total[i] = static_cast<float>(sum[i]);
}
/// F32 sums are complete where they stand.
inline void round_to(std::span<float>, std::span<float>) {}

/// Elements [first, last) of part `index` of `count` parts, as equal as possible.
struct Slice {
  std::size_t begin = 0, size = 0;
};
inline Slice slice(std::size_t elements, Rank index, Rank count) {
  const auto i = static_cast<std::size_t>(index);
  const auto n = static_cast<std::size_t>(count);
  const std::size_t small = elements / n, larger = elements % n;  // the first `larger` parts get one more
  const std::size_t begin = i * small + std::min(i, larger);
  return {begin, small + (i < larger ? 1 : 0)};
}
template <class T>
std::span<T> part_of(std::span<T> values, Rank index, Rank count) {
  const Slice s = slice(values.size(), index, count);
  return values.subspan(s.begin, s.size);
}

/// Calls take(rank) for every rank of `sources` when a frame of its has come; `sources` is used up.
template <class Take>
void in_arrival_order(Transport& transport, std::span<Rank> sources, Deadline deadline, Take take) {
  while (!sources.empty()) {
    const Rank rank = sources.size() == 1 ? sources.front() : transport.wait_any(sources, deadline);
    take(rank);
    const auto found = std::find(sources.begin(), sources.end(), rank);
    core::ensure(found != sources.end(), "wait_any returned a rank that was not asked for");
    std::copy(found + 1, sources.end(), found);
    sources = sources.first(sources.size() - 1);
  }
}

/// Adds the operands of `sources` (ascending, without this rank; used up) to `own`.
inline void add_operands_of(const Reduction<double>& r, std::span<Rank> sources, std::span<double> own) {
  const std::span<std::byte> bytes = r.scratch.get(kSlots, own.size_bytes());
  const std::span<double> slot(reinterpret_cast<double*>(bytes.data()), own.size());
  in_arrival_order(r.transport, sources, r.deadline, [&](Rank rank) {
    r.receive(rank, slot);
    add(own, slot);
  });
}
void add_operands_of(const Reduction<float>& r, std::span<Rank> sources, std::span<float> own);

template <class Algorithm, class Part>
void sum_in_segments(Transport& transport, Scratch& scratch, std::span<Part> parts, std::span<float> total,
                     Deadline deadline) {
  core::ensure(parts.size() == total.size(), "an all-reduce needs as many totals as parts");
  const std::size_t step = std::max<std::size_t>(1, scratch.segment_bytes_max / sizeof(Part));
  for (std::size_t begin = 0; begin < parts.size(); begin += step) {
    const std::size_t count = std::min(step, parts.size() - begin);
    const Reduction<Part> r{transport, scratch, parts.subspan(begin, count), total.subspan(begin, count), deadline};
    if (r.size() == 1)
      round_to(r.parts, r.total);
    else
      Algorithm::reduce(r);
  }
}

/// The work of a reduce-scatter and an all-gather in slices; algorithms differ in their latencies.
inline Work scattered_work(Rank ranks, Payload p, double latencies) {
  const double n = ranks - 1;
  const double in = static_cast<double>(p.operand_bytes), out = static_cast<double>(p.total_bytes);
  return {.latencies = latencies,
          .chain_messages = 2 * n,
          .chain_bytes = n / ranks * (in + out),
          .chain_sum_bytes = n / ranks * in,
          .all_messages = 2 * n * ranks,
          .all_bytes = n * (in + out),
          .all_sum_bytes = n * in};
}

/// The table's entry for an algorithm.
template <class Algorithm>
Collective entry(std::string_view name, std::string_view summary, bool needs_peer_links) {
  return {.name = name,
          .summary = summary,
          .needs_peer_links = needs_peer_links,
          .sum_exact =
              [](Transport& t, Scratch& s, std::span<double> parts, std::span<float> total, Deadline d) {
                sum_in_segments<Algorithm>(t, s, parts, total, d);
              },
          .sum_fast = [](Transport& t, Scratch& s, std::span<float> parts,
                         Deadline d) { sum_in_segments<Algorithm>(t, s, parts, parts, d); },
          .work = &Algorithm::work};
}

}  // namespace starling::comm
