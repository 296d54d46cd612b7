// From the rows of a file to groups of sixteen, and one row back.
#include "core/ops/packed_pack.h"

#include <cstring>

#include "core/error.h"
#include "core/ops/packed.h"
#include "core/quant/half.h"

namespace starling::core {
namespace {

constexpr std::size_t kQuadBytes = 4 * kPackedLanes;  // a quad of columns of all lanes
constexpr std::uint32_t kFlip = 0x80808080u;          // code to code + 128, four times

std::uint32_t word(const std::uint8_t* p) {
  std::uint32_t w;
  std::memcpy(&w, p, sizeof w);
  return w;
}

/// A block of one lane: from the file's form to its place in the group, and back to floats.
struct Form {
  Type stored, packed;
  PackedFormat format;
  void (*pack)(const std::uint8_t* block, std::size_t lane, std::uint8_t* group);
  void (*unpack)(const std::uint8_t* group, std::size_t lane, float* values);
};

float scale_of(const std::uint8_t* group, std::size_t lane) {
  std::uint16_t half;
  std::memcpy(&half, group + 2 * lane, sizeof half);
  return float_from_f16(half);
}

void pack_q8(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block, 2);
  for (std::size_t q = 0; q < 8; ++q) {
    const std::uint32_t codes = word(block + 2 + 4 * q) ^ kFlip;
    std::memcpy(group + 32 + q * kQuadBytes + 4 * lane, &codes, sizeof codes);
  }
}

void unpack_q8(const std::uint8_t* group, std::size_t lane, float* values) {
  for (std::size_t k = 0; k < kPackedBlock; ++k)
    values[k] = scale_of(group, lane) * static_cast<float>(group[32 + k / 4 * kQuadBytes + 4 * lane + k % 4] - 128);
}

/// The file pairs value i with value i + 16 in a byte, and so does the packed form.
void pack_q4(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block, 2);
  for (std::size_t q = 0; q < 4; ++q) std::memcpy(group + 32 + q * kQuadBytes + 4 * lane, block + 2 + 4 * q, 4);
}

void unpack_q4(const std::uint8_t* group, std::size_t lane, float* values) {
  for (std::size_t k = 0; k < kPackedBlock / 2; ++k) {
    const int pair = group[32 + k / 4 * kQuadBytes + 4 * lane + k % 4];
    values[k] = scale_of(group, lane) * static_cast<float>((pair & 15) - 8);
    values[k + kPackedBlock / 2] = scale_of(group, lane) * static_cast<float>((pair >> 4) - 8);
  }
}

/// The six-bit scale and min of part j of a Q4_K block.
struct ScaleAndMin {
  std::uint8_t scale, min;
};
ScaleAndMin q4_k_scales(const std::uint8_t* scales, std::size_t j) {
  const auto byte = [](int v) { return static_cast<std::uint8_t>(v); };
  if (j < 4) return {byte(scales[j] & 63), byte(scales[j + 4] & 63)};
  return {byte((scales[j + 4] & 15) | (scales[j - 4] >> 6) << 4), byte((scales[j + 4] >> 4) | (scales[j] >> 6) << 4)};
}

/// Columns 64 p + 0..31 and 64 p + 32..63 share bytes in the file, columns of one part in the packed form.
void pack_q4_k(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  constexpr std::uint32_t kLow = 0x0f0f0f0fu;
  std::memcpy(group + 2 * lane, block, 2);
  std::memcpy(group + 32 + 2 * lane, block + 2, 2);
  for (std::size_t j = 0; j < 8; ++j) {
    std::uint8_t* const part = group + 64 + j * 288;
    const ScaleAndMin s = q4_k_scales(block + 4, j);
    part[lane] = s.scale, part[16 + lane] = s.min;
    const std::uint8_t* const codes = block + 16 + j / 2 * 32;
    for (std::size_t q = 0; q < 4; ++q) {
      const std::uint32_t first = word(codes + 4 * q) >> (j % 2 * 4) & kLow, second = word(codes + 16 + 4 * q) >> (j % 2 * 4) & kLow;
      const std::uint32_t pairs = first | second << 4;
      std::memcpy(part + 32 + q * kQuadBytes + 4 * lane, &pairs, sizeof pairs);
    }
  }
}

void unpack_q4_k(const std::uint8_t* group, std::size_t lane, float* values) {
  const float d = scale_of(group, lane), dmin = scale_of(group + 32, lane);
  for (std::size_t j = 0; j < 8; ++j) {
    const std::uint8_t* const part = group + 64 + j * 288;
    const float scale = d * static_cast<float>(part[lane]), least = dmin * static_cast<float>(part[16 + lane]);
    for (std::size_t k = 0; k < 16; ++k) {
      const int pair = part[32 + k / 4 * kQuadBytes + 4 * lane + k % 4];
      values[32 * j + k] = scale * static_cast<float>(pair & 15) - least;
      values[32 * j + k + 16] = scale * static_cast<float>(pair >> 4) - least;
    }
  }
}

/// Code (low four bits, high two) of column k of a Q6_K block.
int q6_k_code(const std::uint8_t* block, std::size_t k) {
  const std::size_t half = k / 128, row = k % 128 / 32, l = k % 32;
  const int low = block[64 * half + row % 2 * 32 + l] >> (row / 2 * 4) & 15;
  return low | (block[128 + 32 * half + l] >> (2 * row) & 3) << 4;
}

void pack_q6_k(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block + 208, 2);
  for (std::size_t j = 0; j < 8; ++j) {
    std::uint8_t* const part = group + 32 + j * 416;
    part[lane] = block[192 + 2 * j], part[16 + lane] = block[192 + 2 * j + 1];
    for (std::size_t k = 0; k < 16; ++k) {
      const int first = q6_k_code(block, 32 * j + k), second = q6_k_code(block, 32 * j + 16 + k);
      const std::size_t at = 4 * lane + k % 4, quad = k / 4;
      part[32 + quad * kQuadBytes + at] = static_cast<std::uint8_t>((first & 15) | (second & 15) << 4);
      std::uint8_t* const high = part + 32 + 4 * kQuadBytes + at;
      high[0] = static_cast<std::uint8_t>(high[0] | first >> 4 << (2 * quad));
      high[kQuadBytes] = static_cast<std::uint8_t>(high[kQuadBytes] | second >> 4 << (2 * quad));
    }
  }
}

void unpack_q6_k(const std::uint8_t* group, std::size_t lane, float* values) {
  const float d = scale_of(group, lane);
  for (std::size_t j = 0; j < 8; ++j) {
    const std::uint8_t* const part = group + 32 + j * 416;
    const auto scale = [&](std::size_t half) { return d * static_cast<float>(static_cast<std::int8_t>(part[16 * half + lane])); };
    for (std::size_t k = 0; k < 16; ++k) {
      const std::size_t at = 4 * lane + k % 4, quad = k / 4;
      const int pair = part[32 + quad * kQuadBytes + at];
      const std::uint8_t* const high = part + 32 + 4 * kQuadBytes + at;
      values[32 * j + k] = scale(0) * static_cast<float>(((pair & 15) | (high[0] >> (2 * quad) & 3) << 4) - 32);
      values[32 * j + k + 16] = scale(1) * static_cast<float>((pair >> 4 | (high[kQuadBytes] >> (2 * quad) & 3) << 4) - 32);
    }
  }
}

constexpr Form kForms[] = {
    {Type::q8_0, Type::q8_0_x16, PackedFormat::q8_0, pack_q8, unpack_q8},
    {Type::q4_0, Type::q4_0_x16, PackedFormat::q4_0, pack_q4, unpack_q4},
    {Type::q4_k, Type::q4_k_x16, PackedFormat::q4_k, pack_q4_k, unpack_q4_k},
    {Type::q6_k, Type::q6_k_x16, PackedFormat::q6_k, pack_q6_k, unpack_q6_k},
};

const Form* form_of_stored(Type type) {
  for (const Form& form : kForms)
    if (form.stored == type) return &form;
  return nullptr;
}

const Form* form_of_packed(Type type) {
  for (const Form& form : kForms)
    if (form.packed == type) return &form;
  return nullptr;
}

std::size_t block_bytes(const TypeInfo& type) { return static_cast<std::size_t>(type.block_bytes * type.rows_together); }

}  // namespace

bool is_packable(Type type) { return form_of_stored(type) != nullptr; }

bool is_packed(Type type) { return form_of_packed(type) != nullptr; }

PackedFormat packed_format(Type type) {
  const Form* form = form_of_packed(type);
  ensure(form != nullptr, "a product with a matrix that is not packed");
  return form->format;
}

Tensor pack_matrix(const Tensor& matrix, Pool& pool) {
  const Form* form = form_of_stored(matrix.type());
  ensure(form != nullptr && matrix.shape().size() == 2, "a matrix without a packed form");
  const TypeInfo& from = info(form->stored);
  const TypeInfo& to = info(form->packed);
  Tensor result = Tensor::owned(form->packed, matrix.shape());
  if (result.empty()) return result;
  const auto blocks = static_cast<std::size_t>(matrix.columns() / from.block_length);
  const auto rows = static_cast<std::size_t>(matrix.rows());
  auto* const out = reinterpret_cast<std::uint8_t*>(result.mutable_bytes().data());
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (auto group = static_cast<std::size_t>(begin); group < static_cast<std::size_t>(end); ++group)
      for (std::size_t lane = 0; lane < kPackedLanes && group * kPackedLanes + lane < rows; ++lane) {
        const Bytes row = matrix.row_bytes(static_cast<std::int64_t>(group * kPackedLanes + lane));
        const auto* in = reinterpret_cast<const std::uint8_t*>(row.data());
        for (std::size_t b = 0; b < blocks; ++b)
          form->pack(in + b * block_bytes(from), lane, out + (group * blocks + b) * block_bytes(to));
      }
  };
  pool.parallel_for(static_cast<std::int64_t>((rows + kPackedLanes - 1) / kPackedLanes), 4, std::ref(body));
  return result;
}

void packed_row(const Tensor& packed, std::int64_t row, std::span<float> values) {
  const Form* form = form_of_packed(packed.type());
  ensure(form != nullptr && row >= 0 && row < packed.rows() && values.size() == static_cast<std::size_t>(packed.columns()),
         "no such row of a packed matrix");
  const TypeInfo& type = info(form->packed);
  const auto length = static_cast<std::size_t>(type.block_length), blocks = values.size() / length;
  const auto group = static_cast<std::size_t>(row) / kPackedLanes, lane = static_cast<std::size_t>(row) % kPackedLanes;
  const auto* in = reinterpret_cast<const std::uint8_t*>(packed.bytes().data());
  for (std::size_t b = 0; b < blocks; ++b)
    form->unpack(in + (group * blocks + b) * block_bytes(type), lane, values.data() + b * length);
}

}  // namespace starling::core
