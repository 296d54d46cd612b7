// Products with packed matrices: activations are quantised, then threads share the groups of outputs.
#include "core/ops/packed.h"

#include <atomic>
#include <bit>
#include <vector>

#include "core/error.h"
#include "core/ops/packed_activations.h"
#include "core/ops/packed_kernels.h"
#include "core/ops/packed_pack.h"
#include "core/ops/product_job.h"

namespace starling::core {
namespace {

PackedJob packed_job(const Tensor& w, const ProductColumns& of, std::span<const float> x, std::int64_t rows, std::size_t results) {
  const ProductJob plain = product_job(w, of, x, rows, results);
  const TypeInfo& stored = info(w.type());
  PackedJob job;
  job.weights = reinterpret_cast<const std::uint8_t*>(w.bytes().data());
  job.group_bytes = plain.row_bytes * static_cast<std::size_t>(stored.rows_together);
  job.outputs = static_cast<std::size_t>(w.rows());
  job.first_block = plain.first / kPackedBlock;
  ensure(plain.columns % kPackedBlock == 0, "a product with part of a block");
  job.blocks = plain.columns / kPackedBlock;
  job.unit_blocks = (plain.unit + kPackedBlock - 1) / kPackedBlock;
  job.rows = plain.rows;
  return job;
}

/// Kept by every thread that calls products, so that a token allocates nothing.
std::span<PackedActivations> scratch(std::size_t count) {
  thread_local std::vector<PackedActivations> kept;
  if (kept.size() < count) kept.resize(count);
  return kept;
}

std::span<const PackedActivations> quantize_rows(std::span<const float> x, std::int64_t rows, std::int64_t columns, Pool& pool) {
  const auto n = static_cast<std::size_t>(rows), k = static_cast<std::size_t>(columns);
  const std::span<PackedActivations> out = scratch(n * k / kPackedBlock);
  constexpr std::int64_t kWorthwhile = 1 << 16;  // values: some tens of microseconds
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t tile = begin; tile < end; ++tile) quantize_tile(x, n, k, static_cast<std::size_t>(tile), out.data());
  };
  constexpr auto kTile = static_cast<std::int64_t>(kPackedTileRows);
  pool.parallel_for((rows + kTile - 1) / kTile, kWorthwhile / (kTile * columns) + 1, std::ref(body));
  return out;
}

/// Threads share groups; returns the bits of the largest magnitude of a unit.
std::int32_t run(const Tensor& w, PackedJob& job, std::span<const float> x, Pool& pool) {
  job.x = quantize_rows(x, static_cast<std::int64_t>(job.rows), static_cast<std::int64_t>(job.blocks * kPackedBlock), pool).data();
  const PackedProduct kernel = packed_kernels().product[static_cast<std::size_t>(packed_format(w.type()))];
  constexpr std::size_t kWorthwhile = 1 << 18;  // multiply-adds: a few microseconds
  const std::size_t grain = kWorthwhile / (job.rows * job.blocks * kPackedBlock * kPackedLanes) / 2 * 2 + 2;
  std::atomic<std::int32_t> largest{0};
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    const std::int32_t mine = kernel(job, static_cast<std::size_t>(begin), static_cast<std::size_t>(end));
    std::int32_t seen = largest.load();
    while (seen < mine && !largest.compare_exchange_weak(seen, mine)) {
    }
  };
  const std::size_t groups = (job.outputs + kPackedLanes - 1) / kPackedLanes;
  pool.parallel_for(static_cast<std::int64_t>(groups), static_cast<std::int64_t>(grain), std::ref(body));
  return largest.load();
}

}  // namespace

void packed_matmul(const Tensor& w, std::span<const float> x, std::int64_t rows, std::span<float> y, Pool& pool, std::int64_t first) {
  if (y.empty()) return;
  PackedJob job = packed_job(w, {w.columns(), first}, x, rows, y.size());
  job.plain = y.data();
  run(w, job, x, pool);
}

float packed_matmul_grid(const Tensor& w, std::int64_t unit, std::span<const float> x, std::int64_t rows, std::span<double> out, Pool& pool,
                         std::int64_t first) {
  if (out.empty()) return 0;
  PackedJob job = packed_job(w, {unit, first}, x, rows, out.size());
  job.grid = out.data();
  return std::bit_cast<float>(run(w, job, x, pool));
}

}  // namespace starling::core
