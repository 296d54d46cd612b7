// Products whose units are rounded to the grid; the kernel is product.h.
#include "core/ops/grid.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/grid.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/packed.h"
#include "core/ops/product.h"

#include <algorithm>
#include <atomic>
#include <bit>

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR
using DD = hn::CappedTag<double, 1>;
#else
using DD = hn::CappedTag<double, 4>;
#endif
constexpr std::size_t kDoubles = hn::MaxLanes(DD());
using DPart = hn::Rebind<float, DD>;

struct GridSink {
  double* out;
  std::size_t stride;
  // Magnitudes are compared as integers: NaN stays the largest, and no order of comparison matters.
  hn::Vec<hn::Rebind<std::int32_t, DPart>> largest;
  alignas(64) double sums[kRowBlock * kOutputs];

  void start(std::size_t count) { std::fill_n(sums, count, 0.0); }
  template <std::size_t kCount>
  HWY_INLINE void add(std::size_t first, const float (&values)[kCount]) {
    const DD d;
    const DPart dp;
    const hn::Rebind<std::int32_t, DPart> di;
    const auto rounder = hn::Set(d, kGridRounder);
    for (std::size_t i = 0; i < kCount; i += kDoubles) {
      const auto part = hn::LoadU(dp, values + i);
      largest = hn::Max(largest, hn::BitCast(di, hn::Abs(part)));
      const auto rounded = hn::Sub(hn::Add(hn::PromoteTo(d, part), rounder), rounder);
      double* const sum = sums + first + i;
      hn::StoreU(hn::Add(hn::LoadU(d, sum), rounded), d, sum);
    }
  }
  void finish(std::size_t output, std::size_t outputs, std::size_t row, std::size_t rows) {
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t o = 0; o < outputs; ++o) out[(row + r) * stride + output + o] = sums[r * kOutputs + o];
  }
};

/// Returns the bits of the largest magnitude.
std::int32_t grid_range(const ProductJob& job, std::size_t begin, std::size_t end, double* out, std::size_t stride) {
  const hn::Rebind<std::int32_t, DPart> di;
  GridSink sink{.out = out, .stride = stride, .largest = hn::Zero(di), .sums = {}};
  product(job, begin, end, sink);
  return hn::GetLane(hn::MaxOfLanes(di, sink.largest));
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(grid_range);

float matmul_grid(const Tensor& w, std::int64_t unit, std::span<const float> x, std::int64_t rows, std::span<double> out,
                  Pool& pool, std::int64_t first) {
  if (is_packed(w.type())) return packed_matmul_grid(w, unit, x, rows, out, pool, first);
  if (out.empty()) return 0;
  const ProductJob job = product_job(w, {unit, first}, x, rows, out.size());
  std::atomic<std::int32_t> largest{0};
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    const std::int32_t mine = HWY_DYNAMIC_DISPATCH(grid_range)(job, static_cast<std::size_t>(begin), static_cast<std::size_t>(end),
                                                               out.data(), static_cast<std::size_t>(w.rows()));
    std::int32_t seen = largest.load();
    while (seen < mine && !largest.compare_exchange_weak(seen, mine)) {
    }
  };
  share_outputs(job, w.rows(), pool, body);
  return std::bit_cast<float>(largest.load());
}

}  // namespace starling::core
#endif
