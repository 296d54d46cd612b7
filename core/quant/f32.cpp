// F32: the values themselves.
#include <cstring>

#include "core/quant/blocks.h"

namespace starling::core {
namespace {

void dequantize_f32(Bytes stored, std::span<float> values) {
  if (!values.empty()) std::memcpy(values.data(), stored.data(), stored.size());
}

void quantize_f32(std::span<const float> values, std::span<std::byte> stored) {
  if (!values.empty()) std::memcpy(stored.data(), values.data(), stored.size());
}

}  // namespace

BlockFormat f32_blocks() { return {Type::f32, dequantize_f32, quantize_f32}; }

}  // namespace starling::core
