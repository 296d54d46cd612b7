#include "core/models/pack.h"

#include <cstring>
#include <utility>

#include "core/file_pages.h"
#include "core/models/llama_parts.h"
#include "core/ops/packed.h"

namespace starling::core {
namespace {

void pack(Tensor& matrix, Pool& pool) {
  if (!is_packable(matrix.type()) || matrix.empty()) return;
  matrix = pack_matrix(matrix, pool);
}

/// What is small and read at every step leaves a mapped file, of which the system may keep a whole huge page in memory
/// for its sake.
void copy_from_file(Tensor& small) {
  if (small.empty()) return;
  Tensor copy = Tensor::owned(small.type(), small.shape());
  std::memcpy(copy.mutable_bytes().data(), small.bytes().data(), small.bytes().size());
  release_file_pages(small.bytes());
  small = std::move(copy);
}

}  // namespace

void pack(LlamaBlock& block, Pool& pool) {
  for (const BlockPart& part : block_parts())
    if (part.own && part.kind != BlockPart::Kind::matrix) copy_from_file(block.*part.own);
  for (Tensor* matrix : {&block.query, &block.key, &block.value, &block.attention_output, &block.gate, &block.up, &block.down})
    pack(*matrix, pool);
  const auto pack_expert = [&](LlamaExpert& expert) {
    for (Tensor* matrix : {&expert.gate, &expert.up, &expert.down}) pack(*matrix, pool);
  };
  for (LlamaExpert& expert : block.experts) pack_expert(expert);
  pack_expert(block.shared);
}

void pack(LlamaEnds& ends, Pool& pool) {
  const bool tied = ends.output.bytes().data() == ends.embedding.bytes().data();
  pack(ends.output, pool);
  copy_from_file(ends.output_norm);
  if (tied) ends.embedding = ends.output;
}


void pack(BertModel& model, Pool& pool) {
  for (BertBlock& block : model.blocks)
    for (Affine* affine : {&block.query, &block.key, &block.value, &block.output, &block.up, &block.down}) pack(affine->weight, pool);
}

}  // namespace starling::core
