// F16: binary16, one value a block.
#include <cstring>

#include "core/quant/blocks.h"
#include "core/quant/half.h"

namespace starling::core {
namespace {

void dequantize_f16(Bytes stored, std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, stored.data() + 2 * i, 2);
    values[i] = float_from_f16(bits);
  }
}

void quantize_f16(std::span<const float> values, std::span<std::byte> stored) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = f16_from_float(values[i]);
    std::memcpy(stored.data() + 2 * i, &bits, 2);
  }
}

}  // namespace

BlockFormat f16_blocks() { return {Type::f16, dequantize_f16, quantize_f16}; }

}  // namespace starling::core
