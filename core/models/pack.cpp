#include "core/models/pack.h"

#include <utility>

#include "core/file_pages.h"
#include "core/ops/packed.h"

namespace starling::core {
namespace {

void pack(Tensor& matrix, Pool& pool) {
  if (!is_packable(matrix.type()) || matrix.empty()) return;
  const Tensor source = std::move(matrix);
  matrix = pack_matrix(source, pool);
  release_file_pages(source.bytes());
}

}  // namespace

void pack(LlamaBlock& block, Pool& pool) {
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
  if (tied) ends.embedding = ends.output;
}

}  // namespace starling::core
