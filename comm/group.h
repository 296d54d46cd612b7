// The ranks of a Transport as model code sees them (core/group.h): every all-reduce by the algorithm that was
// asked for or measured to be best for its size, counted and timed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "comm/chooser.h"
#include "comm/histogram.h"
#include "core/group.h"

namespace starling::comm {

/// What all-reduces cost so far.
struct AllReduceUse {
  std::string algorithm;
  std::uint64_t count = 0;
  std::uint64_t operand_bytes = 0;  // of this rank, all calls
  double median_us = 0, p99_us = 0;
};

class TransportGroup final : public core::Group {
 public:
  /// `algorithm`: a name of collectives() or "auto", which measures links and algorithms for rows of `width`
  /// elements, one row (decode) and rows_max rows (prefill) a call; every rank constructs its group at the
  /// same time with the same arguments. Kind::usage for an unknown name. `transport` must outlive this.
  ///
  /// Waits have no deadline of their own: a step may take minutes, and a peer that died or hangs is found by
  /// its missing heartbeats.
  TransportGroup(Transport& transport, std::string_view algorithm, core::Sum sum, std::int64_t width,
                 std::int64_t rows_max);

  Rank rank() const override { return transport_.rank(); }
  Rank size() const override { return transport_.size(); }
  void all_reduce(std::span<double> parts, std::span<float> total) override;
  void all_reduce(std::span<float> parts) override;

  /// Milliseconds spent in all-reduces, waiting included.
  double wait_ms() const { return std::chrono::duration<double, std::milli>(waited_).count(); }
  /// What was chosen and why.
  const Selection& selection() const { return selection_; }
  /// One entry per algorithm in use, and all together: its `algorithm` lists them.
  std::vector<AllReduceUse> uses() const;
  AllReduceUse overall() const;

 private:
  struct Route {
    std::size_t elements_max;  // up to so many
    const Collective* collective;
    Histogram times;
    std::uint64_t operand_bytes = 0;
  };
  Route& route(std::size_t elements);
  template <class Call>
  void timed(std::size_t elements, std::size_t operand_bytes, Call call);

  Transport& transport_;
  Scratch scratch_;
  Selection selection_;
  std::vector<Route> routes_;  // by size, ascending
  Clock::duration waited_{};
};

}  // namespace starling::comm
