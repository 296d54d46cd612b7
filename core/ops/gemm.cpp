#include "core/ops/gemm.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/ops/gemm_job.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/gemm.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/tile.h"
#include "core/ops/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

constexpr std::int64_t kDepth = 256;  // steps of the sum whose lanes' operand stays in the cache
constexpr std::int64_t kRows = 512;   // of sums that are kept aside until they are whole

/// `depth` rows of `width` columns of the lanes' operand, side by side, padded with zeros to `stride`.
void pack_lanes(const MatrixView& b, std::int64_t k, std::int64_t depth, std::int64_t column, std::int64_t width,
                std::size_t stride, float* out) {
  const float* in = b.data + k * b.row_stride + column * b.column_stride;
  if (b.column_stride == 1) {
    for (std::int64_t i = 0; i < depth; ++i, out += stride) {
      std::memcpy(out, in + i * b.row_stride, static_cast<std::size_t>(width) * sizeof(float));
      std::fill(out + width, out + stride, 0.0f);
    }
    return;
  }
  if (b.row_stride == 1)
    return transpose_to_lanes(in, static_cast<std::size_t>(width), static_cast<std::size_t>(depth), static_cast<std::size_t>(b.column_stride), out, stride);
  for (std::int64_t i = 0; i < depth; ++i, out += stride) {
    for (std::int64_t j = 0; j < width; ++j) out[j] = in[i * b.row_stride + j * b.column_stride];
    std::fill(out + width, out + stride, 0.0f);
  }
}

/// Columns [column, column + width) of the job for rows [row_begin, row_end), into sums of its own or of the job's.
void gemm_sums(const GemmJob& job, std::int64_t column, std::int64_t width, std::int64_t row_begin, std::int64_t row_end, float* packed, bool onto,
               float* sums, std::size_t sum_stride) {
  const std::size_t vectors = static_cast<std::size_t>(width) <= kLanes ? 1 : kTileVectors;
  const std::size_t stride = vectors * kLanes;
  for (std::int64_t k = 0; k < job.rows.columns; k += kDepth) {
    const std::int64_t depth = std::min(kDepth, job.rows.columns - k);
    pack_lanes(job.lanes, k, depth, column, width, stride, packed);
    for (std::int64_t row = row_begin; row < row_end;) {
      const std::size_t count = tile_rows(static_cast<std::size_t>(row_end - row));
      const float* a[kTileRows];
      for (std::size_t r = 0; r < count; ++r)
        a[r] = job.rows.data + (row + static_cast<std::int64_t>(r)) * job.rows.row_stride + k * job.rows.column_stride;
      run_tile(count, vectors, a, Strided{static_cast<std::size_t>(job.rows.column_stride)}, packed, Strided{stride}, static_cast<std::size_t>(depth),
               k > 0 || onto ? Start::sum : Start::zero, nullptr, sums + static_cast<std::size_t>(row - row_begin) * sum_stride, sum_stride);
      row += static_cast<std::int64_t>(count);
    }
  }
}

/// Rows [row_begin, row_end) of panel `panel` (kTileColumns columns) of the job.
void gemm_panel(const GemmJob& job, std::int64_t panel, std::int64_t row_begin, std::int64_t row_end, float* packed, std::vector<float>& aside) {
  const std::int64_t column = panel * static_cast<std::int64_t>(kTileColumns);
  const std::int64_t width = std::min(static_cast<std::int64_t>(kTileColumns), job.lanes.columns - column);
  const std::size_t stride = static_cast<std::size_t>(width) <= kLanes ? kLanes : kTileColumns;
  float* c = job.c + row_begin * job.c_row_stride + column * job.c_lane_stride;
  if (static_cast<std::size_t>(width) == stride && job.c_lane_stride == 1)
    return gemm_sums(job, column, width, row_begin, row_end, packed, job.accumulate, c, static_cast<std::size_t>(job.c_row_stride));
  aside.resize(static_cast<std::size_t>(kRows) * kTileColumns);
  float* sums = aside.data();
  const auto columns = static_cast<std::size_t>(width), bytes = columns * sizeof(float);
  for (std::int64_t row = row_begin; row < row_end; row += kRows, c += kRows * job.c_row_stride) {
    const auto rows = static_cast<std::size_t>(std::min(kRows, row_end - row));
    const auto row_stride = static_cast<std::size_t>(job.c_row_stride), lane_stride = static_cast<std::size_t>(job.c_lane_stride);
    if (job.accumulate && lane_stride == 1)
      for (std::size_t r = 0; r < rows; ++r) std::memcpy(sums + r * stride, c + r * row_stride, bytes);
    else if (job.accumulate)
      transpose(c, columns, rows, lane_stride, sums, stride);
    gemm_sums(job, column, width, row, row + static_cast<std::int64_t>(rows), packed, job.accumulate, sums, stride);
    if (lane_stride == 1)
      for (std::size_t r = 0; r < rows; ++r) std::memcpy(c + r * row_stride, sums + r * stride, bytes);
    else
      transpose(sums, rows, columns, stride, c, lane_stride);
  }
}

/// The range of tasks of one thread; a task is a panel and a share of the rows.
void gemm_tasks(const GemmJob& job, std::int64_t begin, std::int64_t end) {
  thread_local std::vector<float> packed, aside;
  packed.resize(static_cast<std::size_t>(kDepth) * kTileColumns);
  for (std::int64_t task = begin; task < end; ++task) {
    const std::int64_t share = task % job.row_shares;
    const std::int64_t rows = job.rows.rows, step = (rows + job.row_shares - 1) / job.row_shares;
    gemm_panel(job, task / job.row_shares, std::min(rows, share * step), std::min(rows, (share + 1) * step), packed.data(), aside);
  }
}

std::int64_t gemm_lanes() { return static_cast<std::int64_t>(kLanes); }
std::int64_t gemm_columns() { return static_cast<std::int64_t>(kTileColumns); }

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(gemm_tasks);
HWY_EXPORT(gemm_lanes);
HWY_EXPORT(gemm_columns);

namespace {

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// About the vector instructions of computing with the columns of `lanes` in the lanes, packing included.
double effort(const MatrixView& rows, const MatrixView& lanes, std::int64_t vector) {
  const double steps = static_cast<double>(rows.rows) * static_cast<double>(divide_up(lanes.columns, vector)) * static_cast<double>(rows.columns);
  const double elements = static_cast<double>(lanes.rows) * static_cast<double>(lanes.columns);
  return steps / 2 + elements * (lanes.column_stride == 1 ? 0.1 : 1.0);
}

}  // namespace

namespace {

/// Nothing to do when a size is 0. Either factor may lie in the lanes: the product of each pair is the same.
std::optional<GemmJob> gemm_job(const MatrixView& a, const MatrixView& b, float* c, std::int64_t c_stride, bool accumulate) {
  ensure(a.columns == b.rows && a.rows >= 0 && b.columns >= 0, "sizes of a matrix product disagree");
  if (a.rows == 0 || b.columns == 0) return std::nullopt;
  if (a.columns == 0) {
    for (std::int64_t i = 0; i < a.rows && !accumulate; ++i) std::fill(c + i * c_stride, c + i * c_stride + b.columns, 0.0f);
    return std::nullopt;
  }
  const std::int64_t vector = HWY_DYNAMIC_DISPATCH(gemm_lanes)();
  const MatrixView at = transposed(a), bt = transposed(b);
  if (effort(bt, at, vector) < effort(a, b, vector)) return GemmJob{bt, at, c, 1, c_stride, accumulate, 1};
  return GemmJob{a, b, c, c_stride, 1, accumulate, 1};
}

std::int64_t panels(const GemmJob& job) { return divide_up(job.lanes.columns, HWY_DYNAMIC_DISPATCH(gemm_columns)()); }

}  // namespace

void gemm_alone(const MatrixView& a, const MatrixView& b, float* c, std::int64_t c_stride, bool accumulate) {
  if (const auto job = gemm_job(a, b, c, c_stride, accumulate)) HWY_DYNAMIC_DISPATCH(gemm_tasks)(*job, 0, panels(*job));
}

void gemm(const MatrixView& a, const MatrixView& b, float* c, bool accumulate, Pool& pool) {
  auto job = gemm_job(a, b, c, b.columns, accumulate);
  if (!job) return;
  const double work = static_cast<double>(a.rows) * static_cast<double>(b.columns) * static_cast<double>(a.columns);
  constexpr double kWorthThreads = 1 << 17;
  if (pool.threads() == 1 || work < kWorthThreads) return HWY_DYNAMIC_DISPATCH(gemm_tasks)(*job, 0, panels(*job));
  if (panels(*job) < 2 * pool.threads()) job->row_shares = std::min<std::int64_t>(pool.threads(), divide_up(job->rows.rows, 4));
  const auto body = [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(gemm_tasks)(*job, begin, end); };
  pool.parallel_for(panels(*job) * job->row_shares, 1, std::ref(body));
}

}  // namespace starling::core
#endif
