// Element types of tensors. The ids are those of GGUF (ggml_type), so that files need no translation.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace starling::core {

enum class Type : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
  // In memory only, never in a file or on a wire: rows interleaved for the integer kernels (ops/packed.h).
  q8_0_x16 = 1000,
  q4_0_x16 = 1001,
  q4_k_x16 = 1002,
  q6_k_x16 = 1003,
  q4_1_x16 = 1004,
  q5_0_x16 = 1005,
  q5_1_x16 = 1006,
  q2_k_x16 = 1007,
  q3_k_x16 = 1008,
  q5_k_x16 = 1009,
};

/// Elements are stored in blocks of `block_length` consecutive values, `block_bytes` each.
struct TypeInfo {
  Type type;
  std::string_view name;
  std::int64_t block_length;
  std::int64_t block_bytes;
  std::int64_t rows_together = 1;  // rows that are stored interleaved; their number is padded to a multiple
};

const TypeInfo& info(Type type);
/// nullopt when `id` is no type that this build can hold.
std::optional<Type> type_from_id(std::uint32_t id);
/// Kind::usage with the list of known names when `name` is unknown.
Type type_from_name(std::string_view name);

}  // namespace starling::core
