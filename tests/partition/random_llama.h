// Small models with random weights, for tests of equality.
#pragma once

#include <cstdint>
#include <string>

#include "core/models/llama_parts.h"
#include "core/quant/blocks.h"

namespace starling::tests {

inline float next_value(std::uint64_t& state) {
  state += 0x9E3779B97F4A7C15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return static_cast<float>(static_cast<double>(z >> 40) / (1 << 24) - 0.5);
}

/// Matrices of `type` (F32 where blocks do not divide the rows), norms near 1.
inline core::LlamaModel random_llama(const core::LlamaConfig& c, core::Type type, std::uint64_t seed) {
  std::uint64_t state = seed;
  const auto matrix = [&](std::int64_t rows, std::int64_t columns) {
    std::vector<float> values(static_cast<std::size_t>(rows * columns));
    for (float& v : values) v = next_value(state) * 0.3f;
    const core::Type stored = columns % core::info(type).block_length == 0 ? type : core::Type::f32;
    if (stored == core::Type::f32) return core::Tensor::from_floats({rows, columns}, values);
    core::Tensor t = core::Tensor::owned(stored, {rows, columns});
    core::quantize(stored, values, t.mutable_bytes());
    return t;
  };
  const auto norm = [&](std::int64_t n) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& v : values) v = 1 + 0.1f * next_value(state);
    return core::Tensor::from_floats({n}, values);
  };
  core::LlamaModel model;
  model.name = "random";
  model.config = c;
  model.ends = {matrix(c.vocabulary, c.width), norm(c.width), matrix(c.vocabulary, c.width)};
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    core::LlamaBlock b;
    b.experts.resize(static_cast<std::size_t>(c.experts));
    core::each_part(c, [&](const core::BlockPart& part, std::int64_t copy) {
      const core::Shape shape = core::part_shape(part, c, core::whole(c));
      const bool plain = part.kind != core::BlockPart::Kind::matrix;
      core::member(b, part, copy) = part.is_vector() ? norm(shape[0]) : plain ? core::to_float(matrix(shape[0], shape[1])) : matrix(shape[0], shape[1]);
    });
    model.blocks.push_back(std::move(b));
  }
  return model;
}

}  // namespace starling::tests
