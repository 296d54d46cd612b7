// BF16: the upper half of a float, one value a block.
#include <cstring>

#include "core/quant/blocks.h"
#include "core/quant/half.h"

namespace starling::core {
namespace {

void dequantize_bf16(Bytes stored, std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, stored.data() + 2 * i, 2);
    values[i] = float_from_bf16(bits);
  }
}

void quantize_bf16(std::span<const float> values, std::span<std::byte> stored) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = bf16_from_float(values[i]);
    std::memcpy(stored.data() + 2 * i, &bits, 2);
  }
}

}  // namespace

BlockFormat bf16_blocks() { return {Type::bf16, dequantize_bf16, quantize_bf16}; }

}  // namespace starling::core
