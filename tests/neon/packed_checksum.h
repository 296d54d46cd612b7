// What a set of integer kernels computes from a fixed sequence of bytes, as one number: equal numbers mean equal bits
// on processors that never meet. The sum below was computed by the scalar kernels.
#pragma once

#include <cstring>
#include <vector>

#include "core/ops/packed_layout.h"

namespace starling::tests {

inline constexpr std::uint64_t kPackedChecksum = 0x35217c74a5e1da9fu;

class PackedChecksum {
 public:
  /// FNV-1a over the results of all formats, of one row and of many, plain and on the grid.
  static std::uint64_t of(const core::PackedKernels& kernels) {
    PackedChecksum sum;
    for (std::size_t format = 0; format < core::kPackedFormats; ++format)
      for (const std::size_t rows : {std::size_t{1}, std::size_t{5}, std::size_t{14}}) sum.add(kernels.product[format], format, rows);
    return sum.hash_;
  }

 private:
  static constexpr std::size_t kBlocks = 24, kUnitBlocks = 12, kGroups = 3, kOutputs = 43;

  void add(core::PackedProduct product, std::size_t format, std::size_t rows) {
    const std::vector<std::uint8_t> weights = weights_of(format);
    const std::vector<core::PackedActivations> x = activations(rows);
    std::vector<float> plain(rows * kOutputs);
    std::vector<double> grid(plain.size());
    core::PackedJob job;
    job.weights = weights.data();
    job.group_bytes = weights.size() / kGroups;
    job.outputs = kOutputs;
    job.blocks = job.unit_blocks = kBlocks;
    job.x = x.data();
    job.rows = rows;
    job.plain = plain.data();
    product(job, 0, kGroups);
    job.grid = grid.data();
    job.unit_blocks = kUnitBlocks;
    const std::int32_t largest = product(job, 0, kGroups);
    hash(plain.data(), plain.size() * sizeof(float));
    hash(grid.data(), grid.size() * sizeof(double));
    hash(&largest, sizeof largest);
  }

  /// Bytes of all values, but for the binary16 scales, which are from 2^-9 to 2^-5.
  std::vector<std::uint8_t> weights_of(std::size_t format) {
    struct Record {
      std::size_t bytes, parts, scale_bytes;
    };
    constexpr Record kRecords[core::kPackedFormats] = {{544, 1, 32},  {288, 1, 32}, {2368, 8, 64}, {3360, 8, 32}, {320, 1, 64},
                                                       {352, 1, 32}, {384, 1, 64}, {1344, 8, 64}, {1824, 8, 32}, {2880, 8, 64}};
    const Record& record = kRecords[format];
    std::vector<std::uint8_t> bytes(kGroups * kBlocks / record.parts * record.bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = next();
      if (i % record.bytes < record.scale_bytes && i % 2 == 1) bytes[i] = static_cast<std::uint8_t>(0x18 + bytes[i] % 16);
    }
    return bytes;
  }

  std::vector<core::PackedActivations> activations(std::size_t rows) {
    std::vector<core::PackedActivations> x(rows * kBlocks);
    for (core::PackedActivations& block : x) {
      block.half_sum = block.sum = 0;
      for (std::size_t i = 0; i < core::kPackedBlock; ++i) {
        const int code = next() % 255 - 127;
        block.codes[i] = static_cast<std::int8_t>(code);
        block.sum += code;
        if (i < core::kPackedBlock / 2) block.half_sum += code;
      }
      block.scale = static_cast<float>(next() + 1) / 4096.0f;
      block.scaled_sum = block.scale * static_cast<float>(block.sum);
    }
    return x;
  }

  std::uint8_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint8_t>(state_ >> 56);
  }

  void hash(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    for (std::size_t i = 0; i < size; ++i) hash_ = (hash_ ^ bytes[i]) * 0x100000001b3u;
  }

  std::uint64_t state_ = 1, hash_ = 0xcbf29ce484222325u;
};

}  // namespace starling::tests
