// Small Llama models for tests: planted ones whose every weight is a hash of its name, and random ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/models/llama_parts.h"
#include "tests/oracle/random.h"

namespace starling::tests {

/// Element i of tensor `name` is SplitMix64 of FNV-1a(name) at step i + 1, as a value in [-0.25, 0.25); norms add 1.
inline core::Tensor planted_tensor(std::string_view name, core::Shape shape) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  const bool norm = name.ends_with("norm.weight");
  core::Tensor result = core::Tensor::owned(core::Type::f32, std::move(shape));
  for (float& value : result.mutable_floats()) {
    hash += 0x9E3779B97F4A7C15u;
    std::uint64_t z = hash;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    value = static_cast<float>(0.25 * (2 * static_cast<double>(z >> 40) * 0x1p-24 - 1) + (norm ? 1 : 0));
  }
  return result;
}

/// `make(name, shape)` gives every tensor by its GGUF name.
template <class Make>
core::LlamaModel build_llama(const core::LlamaConfig& c, const Make& make) {
  core::LlamaModel m;
  m.config = c;
  m.ends.embedding = make("token_embd.weight", core::Shape{c.vocabulary, c.width});
  m.ends.output_norm = make("output_norm.weight", core::Shape{c.width});
  m.ends.output = c.tied ? m.ends.embedding : make("output.weight", core::Shape{c.vocabulary, c.width});
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    core::LlamaBlock block;
    block.experts.resize(static_cast<std::size_t>(c.experts));
    core::each_part(c, [&](const core::BlockPart& part, std::int64_t copy) {
      const std::string name = "blk." + std::to_string(layer) + "." + part.gguf;
      const core::Shape shape = core::part_shape(part, c, core::whole(c));
      // Those of experts are slices of one tensor.
      core::member(block, part, copy) =
          part.of_experts ? make(name, core::Shape{c.experts * shape[0], shape[1]}).slice_rows(copy * shape[0], (copy + 1) * shape[0]) : make(name, shape);
    });
    m.blocks.push_back(std::move(block));
  }
  return m;
}

inline core::LlamaModel planted_llama(const core::LlamaConfig& c) { return build_llama(c, planted_tensor); }

/// Matrices of `type` (F32 where a block does not divide the rows), values of a size that keeps hidden states alive.
inline core::LlamaModel random_llama(const core::LlamaConfig& c, core::Type type, std::uint32_t seed) {
  return build_llama(c, [&](const std::string& name, const core::Shape& shape) {
    ++seed;
    if (shape.size() == 1) return random_tensor(core::Type::f32, shape, seed, 1.5f);
    const bool router = name.find("_inp") != std::string::npos;
    const bool fits = name.starts_with("blk") && !router && shape.back() % core::info(type).block_length == 0;
    return random_tensor(fits ? type : core::Type::f32, shape, seed, 0.4f);
  });
}

inline std::vector<core::LlamaBlock> cut_blocks(const core::LlamaModel& m, const core::LlamaSlice& slice) {
  std::vector<core::LlamaBlock> blocks;
  for (const core::LlamaBlock& block : m.blocks) blocks.push_back(core::cut(block, m.config, slice));
  return blocks;
}

/// Everything one rank needs to run its slice of a model.
struct Runner {
  const core::LlamaModel& model;
  core::LlamaSlice slice;
  std::vector<core::LlamaBlock> blocks;
  core::KvCache cache;
  core::LlamaWorkspace workspace;
  core::Pool pool;
  core::Sum sum;

  Runner(const core::LlamaModel& m, const core::LlamaSlice& s, core::Type cache_type, std::int64_t positions, int threads = 1,
         core::Sum how = core::Sum::exact)
      : model(m), slice(s), blocks(cut_blocks(m, s)), cache(m.config, s, cache_type, positions),
        workspace(m.config, s, positions), pool(threads), sum(how) {}

  /// The residual stream of `tokens` at `position` after all blocks.
  std::vector<float> forward(std::span<const core::TokenId> tokens, std::int64_t position, core::Group& group) {
    std::vector<float> hidden(tokens.size() * static_cast<std::size_t>(model.config.width));
    core::embed(model.ends, model.config, tokens, hidden);
    const core::Segment segment{&cache, position, static_cast<std::int64_t>(tokens.size())};
    core::forward_blocks({model.config, slice, blocks, sum}, hidden, {&segment, 1}, workspace, group, pool);
    return hidden;
  }

  /// The same in calls of at most `chunk` tokens.
  std::vector<float> forward_chunks(std::span<const core::TokenId> tokens, std::size_t chunk, core::Group& group) {
    std::vector<float> all;
    for (std::size_t begin = 0; begin < tokens.size(); begin += chunk) {
      const auto part = forward(tokens.subspan(begin, std::min(chunk, tokens.size() - begin)), static_cast<std::int64_t>(begin), group);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
};

}  // namespace starling::tests
