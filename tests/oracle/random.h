// Seeded numbers and tensors for tests.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "core/quant/blocks.h"
#include "core/tensor.h"

namespace starling::tests {

inline std::vector<float> random_floats(std::size_t count, std::uint32_t seed, float scale = 1.0f) {
  std::mt19937 engine(seed);
  std::vector<float> values(count);
  for (float& v : values) v = scale * (static_cast<float>(engine() >> 8) * 0x1p-23f - 1.0f);
  return values;
}

/// Values in [-scale, scale], stored as `type`.
inline core::Tensor random_tensor(core::Type type, core::Shape shape, std::uint32_t seed, float scale = 1.0f) {
  const auto count = static_cast<std::size_t>(core::element_count(shape));
  return core::convert(core::Tensor::from_floats(std::move(shape), random_floats(count, seed, scale)), type);
}

}  // namespace starling::tests
