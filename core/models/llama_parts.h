// The one table of the tensors that a block may have: which model has them, their shapes in a slice, and their names in
// messages, in GGUF and in Hugging Face checkpoints. Cutting, sending, reading and writing blocks all walk it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/models/llama.h"

namespace starling::core {

/// A size of a block's tensors. Those from `query` on are shared out over the ranks.
enum class Extent { none, one, width, head, experts, query, kv, ffn, shared };

struct BlockPart {
  std::string_view name;
  Tensor LlamaBlock::*own = nullptr;         // exactly one of these three
  Tensor LlamaExpert::*of_experts = nullptr;  // of every expert
  Tensor LlamaExpert::*of_shared = nullptr;
  Extent rows, columns;                      // rows `none`: a vector
  bool (*present)(const LlamaConfig&);
  const char* gguf;                          // behind "blk.N."; of experts, the stack of all
  const char* hugging_face;                  // behind "model.layers.N."; {} is an expert's number
  enum class Kind { matrix, gain, bias, router } kind = Kind::matrix;  // all but matrices are f32 in any file
  enum class Turn { none, query, key } turn = Turn::none;  // whose rows are paired by the rotary embedding

  bool is_vector() const { return rows == Extent::none; }
};

/// In the order in which they are sent and written.
std::span<const BlockPart> block_parts();

/// How many tensors of that kind a block has: 0, 1 or the number of experts.
std::int64_t copies(const BlockPart& part, const LlamaConfig& config);
Shape part_shape(const BlockPart& part, const LlamaConfig& config, const LlamaSlice& slice);

/// How a slice holds a part that the model has as `type`: the same type, but F32 where a unit of its sums cuts 32 columns.
Type slice_type(const BlockPart& part, const LlamaConfig& config, Type type);
/// And in what shape, as `type`: where columns are shared out, all blocks that the slice has columns of.
Shape slice_shape(const BlockPart& part, const LlamaConfig& config, const LlamaSlice& slice, Type type);
/// Columns of the part that a slice computes with, of the whole model's.
ColumnRange slice_columns(const BlockPart& part, const LlamaConfig& config, const LlamaSlice& slice);
/// The same, extended to whole blocks of `type`: what it holds.
ColumnRange whole_blocks(const ColumnRange& range, Type type);
/// Calls visit(part, copy) for every tensor of a block of such a model, in order.
template <class Visit>
void each_part(const LlamaConfig& config, Visit visit) {
  for (const BlockPart& part : block_parts())
    for (std::int64_t copy = 0; copy < copies(part, config); ++copy) visit(part, copy);
}

/// The tensor; block.experts has room for all.
Tensor& member(LlamaBlock& block, const BlockPart& part, std::int64_t copy);
const Tensor& member(const LlamaBlock& block, const BlockPart& part, std::int64_t copy);

/// Columns that a partial sum's unit has, for a part whose columns are shared out; 0 for others.
std::int64_t unit_columns(const BlockPart& part, const LlamaConfig& config);

}  // namespace starling::core
