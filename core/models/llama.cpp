// How a decoder is cut into slices, its cache, its embedding.
#include "core/models/llama.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/models/llama_parts.h"
#include "core/ops/packed.h"
#include "core/quant/blocks.h"

namespace starling::core {
namespace {

/// A matrix whose columns are shared out, as a slice holds it.
Tensor columns_of(const Tensor& matrix, Type type, const ColumnRange& range) {
  const Tensor source = type == matrix.type() ? matrix : to_float(matrix);
  const ColumnRange held = whole_blocks(range, type);
  return held.begin == 0 && held.end == source.columns() ? source : source.copy_columns(held.begin, held.end);
}

/// The rows that a slice has of a part whose rows are shared out.
ColumnRange slice_rows(const BlockPart& part, const LlamaConfig& config, const LlamaSlice& slice) {
  BlockPart turned = part;
  turned.columns = part.rows;
  return slice_columns(turned, config, slice);
}

}  // namespace

LlamaUnits units(const LlamaConfig& config) {
  LlamaUnits result;
  result.attention_columns = config.heads / config.kv_heads * config.head_size;
  result.ffn_columns = config.ffn < 1024 ? 32 : config.ffn < 4096 ? 128 : 256;
  return result;
}

std::int64_t first_column(const Tensor& held, std::int64_t begin) { return begin % info(held.type()).block_length; }

LlamaSlice whole(const LlamaConfig& config) { return {0, config.kv_heads, 0, config.ffn}; }

ColumnRange shared_columns(const LlamaConfig& config, const LlamaSlice& slice) {
  const std::int64_t unit = units(config).ffn_columns;
  const auto units_in = [&](std::int64_t columns) { return (columns + unit - 1) / unit; };
  const std::int64_t own = units_in(config.ffn), shared = units_in(config.shared_ffn);
  const auto boundary = [&](std::int64_t column) { return std::min(config.shared_ffn, units_in(column) * shared / own * unit); };
  return {boundary(slice.ffn_begin), boundary(slice.ffn_end)};
}

LlamaBlock cut(const LlamaBlock& block, const LlamaConfig& config, const LlamaSlice& slice) {
  const LlamaUnits unit = units(config);
  ensure(0 <= slice.kv_begin && slice.kv_begin <= slice.kv_end && slice.kv_end <= config.kv_heads, "a slice of heads out of range");
  ensure(0 <= slice.ffn_begin && slice.ffn_begin <= slice.ffn_end && slice.ffn_end <= config.ffn, "a slice of the ffn out of range");
  ensure(slice.ffn_begin % unit.ffn_columns == 0 || slice.ffn_begin == slice.ffn_end, "a slice that begins inside an ffn unit");
  ensure(slice.ffn_end % unit.ffn_columns == 0 || slice.ffn_end == config.ffn || slice.ffn_begin == slice.ffn_end,
         "a slice that ends inside an ffn unit");
  LlamaBlock result;
  result.experts.resize(static_cast<std::size_t>(config.experts));
  each_part(config, [&](const BlockPart& part, std::int64_t copy) {
    const Tensor& tensor = member(block, part, copy);
    Tensor& target = member(result, part, copy);
    if (unit_columns(part, config) > 0) {
      target = columns_of(tensor, slice_type(part, config, tensor.type()), slice_columns(part, config, slice));
    } else if (part.is_vector() && part.columns >= Extent::query) {
      const ColumnRange range = slice_columns(part, config, slice);
      target = Tensor::from_floats({range.end - range.begin}, tensor.floats().subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.end - range.begin)));
    } else if (part.rows >= Extent::query) {
      const ColumnRange range = slice_rows(part, config, slice);
      target = tensor.slice_rows(range.begin, range.end);
    } else {
      target = tensor;
    }
  });
  return result;
}

KvCache::KvCache(const LlamaConfig& config, const LlamaSlice& slice, Type type, std::int64_t positions)
    : type_(type), positions_(positions), layers_(config.layers), heads_(slice.kv_end - slice.kv_begin) {
  const TypeInfo& stored = info(type);
  check(type == Type::f32 || type == Type::f16 || type == Type::q8_0, Kind::usage, "a cache of {} is not offered; known: f32 f16 q8_0",
        stored.name);
  check(config.head_size % stored.block_length == 0, Kind::usage, "a cache of {} needs heads of a multiple of {} values, not {}",
        stored.name, stored.block_length, config.head_size);
  check(positions >= 1, Kind::usage, "a cache of {} positions", positions);
  row_bytes_ = config.head_size / stored.block_length * stored.block_bytes;
  keys_ = Tensor::owned(type, {config.layers * heads_ * positions, config.head_size});
  values_ = Tensor::owned(type, {config.layers * heads_ * positions, config.head_size});
}

std::uint64_t KvCache::bytes() const { return keys_.bytes().size() + values_.bytes().size(); }

std::span<std::byte> KvCache::key(std::int64_t layer, std::int64_t head, std::int64_t position) {
  const std::int64_t row = (layer * heads_ + head) * positions_ + position;
  return keys_.mutable_bytes().subspan(static_cast<std::size_t>(row * row_bytes_), static_cast<std::size_t>(row_bytes_));
}

std::span<std::byte> KvCache::value(std::int64_t layer, std::int64_t head, std::int64_t position) {
  const std::int64_t row = (layer * heads_ + head) * positions_ + position;
  return values_.mutable_bytes().subspan(static_cast<std::size_t>(row * row_bytes_), static_cast<std::size_t>(row_bytes_));
}

void KvCache::copy_from(const KvCache& other, std::int64_t count) {
  ensure(other.type_ == type_ && other.keys_.shape() == keys_.shape() && other.positions_ == positions_, "caches of different shapes");
  ensure(count >= 0 && count <= positions_, "more positions than a cache holds");
  const auto stride = static_cast<std::size_t>(positions_ * row_bytes_), bytes = static_cast<std::size_t>(count * row_bytes_);
  if (bytes == 0) return;
  for (std::size_t i = 0; i < static_cast<std::size_t>(layers_ * heads_); ++i) {
    std::memcpy(keys_.mutable_bytes().data() + i * stride, other.keys_.bytes().data() + i * stride, bytes);
    std::memcpy(values_.mutable_bytes().data() + i * stride, other.values_.bytes().data() + i * stride, bytes);
  }
}

void embed(const LlamaEnds& ends, const LlamaConfig& config, std::span<const TokenId> tokens, std::span<float> hidden) {
  const auto width = static_cast<std::size_t>(ends.embedding.columns());
  ensure(hidden.size() == tokens.size() * width, "the residual stream has another size than its tokens");
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    check(tokens[i] >= 0 && tokens[i] < ends.embedding.rows(), Kind::usage, "token id {} is outside the vocabulary of {}", tokens[i],
          ends.embedding.rows());
    const std::span<float> row = hidden.subspan(i * width, width);
    if (is_packed(ends.embedding.type()))
      packed_row(ends.embedding, tokens[i], row);
    else
      dequantize(ends.embedding.type(), ends.embedding.row_bytes(tokens[i]), row);
  }
  if (config.embedding_scale != 1)
    for (float& value : hidden) value *= config.embedding_scale;
}

}  // namespace starling::core
