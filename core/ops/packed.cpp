// Products with packed matrices: activations are quantised, then threads share the groups of outputs.
#include "core/ops/packed.h"

#include <atomic>
#include <bit>
#include <vector>

#include "core/error.h"
#include "core/ops/packed_activations.h"
#include "core/ops/packed_kernels.h"
#include "core/ops/packed_pack.h"

namespace starling::core {
namespace {

PackedJob packed_job(const Tensor& w, std::int64_t unit, std::span<const float> x, std::int64_t rows, std::size_t results) {
  const TypeInfo& stored = info(w.type());
  const std::int64_t columns = w.columns(), outputs = w.rows();
  ensure(w.shape().size() == 2 && columns > 0 && rows > 0, "a product needs a matrix and rows");
  ensure(x.size() == static_cast<std::size_t>(rows * columns), "a product's input has another size than its weights");
  ensure(results == static_cast<std::size_t>(rows * outputs), "a product's output has another size than its weights");
  constexpr auto kBlock = static_cast<std::int64_t>(kPackedBlock);
  ensure(unit > 0 && (unit % kBlock == 0 || unit >= columns), "a unit of a sum cuts a block");
  PackedJob job;
  job.weights = reinterpret_cast<const std::uint8_t*>(w.bytes().data());
  job.group_bytes = static_cast<std::size_t>(columns / stored.block_length * stored.block_bytes * stored.rows_together);
  job.outputs = static_cast<std::size_t>(outputs);
  job.blocks = static_cast<std::size_t>(columns / kBlock);
  job.unit_blocks = static_cast<std::size_t>((unit + kBlock - 1) / kBlock);
  job.rows = static_cast<std::size_t>(rows);
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
  job.x = quantize_rows(x, static_cast<std::int64_t>(job.rows), w.columns(), pool).data();
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

void packed_matmul(const Tensor& w, std::span<const float> x, std::int64_t rows, std::span<float> y, Pool& pool) {
  if (y.empty()) return;
  PackedJob job = packed_job(w, w.columns(), x, rows, y.size());
  job.plain = y.data();
  run(w, job, x, pool);
}

float packed_matmul_grid(const Tensor& w, std::int64_t unit, std::span<const float> x, std::int64_t rows, std::span<double> out, Pool& pool) {
  if (out.empty()) return 0;
  PackedJob job = packed_job(w, unit, x, rows, out.size());
  job.grid = out.data();
  return std::bit_cast<float>(run(w, job, x, pool));
}

}  // namespace starling::core
