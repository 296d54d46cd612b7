#include "core/models/llama_workspace.h"

#include <algorithm>

#include "core/error.h"

namespace starling::core {
namespace {

RopeTable rope_for(std::int64_t dimensions, float base, std::span<const double> divisors, double magnitude, std::int64_t rows) {
  RopeTable table;
  table.frequencies = rope_frequencies(dimensions, base, divisors);
  table.magnitude = magnitude;
  table.cosine.resize(table.frequencies.size() * static_cast<std::size_t>(rows));
  table.sine.resize(table.cosine.size());
  return table;
}

}  // namespace

LlamaWorkspace::LlamaWorkspace(const LlamaConfig& config, const LlamaSlice& slice, std::int64_t rows_max)
    : rows_max_(rows_max), buffers_(std::make_unique<Buffers>()) {
  ensure(rows_max > 0, "a workspace for no rows");
  const std::int64_t kv = (slice.kv_end - slice.kv_begin) * config.head_size;
  const ColumnRange shared = shared_columns(config, slice);
  const std::int64_t ffn = std::max(slice.ffn_end - slice.ffn_begin, shared.end - shared.begin);
  const auto rows = static_cast<std::size_t>(rows_max), width = static_cast<std::size_t>(config.width);
  const auto floats = [&](std::int64_t columns) { return std::vector<float>(rows * static_cast<std::size_t>(columns)); };
  Buffers& b = *buffers_;
  b.rope = rope_for(config.rotated_dimensions(), config.rope_base, config.rope_divisors, config.rope_magnitude, rows_max);
  if (config.window_rope_base > 0) b.window_rope = rope_for(config.rotated_dimensions(), config.window_rope_base, {}, 1, rows_max);
  b.normed = b.total = floats(config.width);
  b.query = b.heads = floats(kv * (config.heads / config.kv_heads));
  b.key = b.value = floats(kv);
  b.gate = b.up = floats(ffn);
  b.parts.resize(rows * width);
  if (config.experts == 0) return;
  b.routing = floats(config.experts);
  b.routes.resize(rows * static_cast<std::size_t>(config.experts_used));
  b.chosen.resize(rows);
  b.chosen_rows = floats(config.width);
  b.chosen_parts.resize(rows * width);
}

LlamaWorkspace::~LlamaWorkspace() = default;
LlamaWorkspace::LlamaWorkspace(LlamaWorkspace&&) noexcept = default;

}  // namespace starling::core
