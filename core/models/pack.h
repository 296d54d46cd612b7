// Models packed for the integer kernels (ops/packed.h), after they are cut. Which matrices are packed follows from
// their types alone, so that a matrix is packed in all plans or in none.
#pragma once

#include "core/models/bert.h"
#include "core/models/llama.h"

namespace starling::core {

/// Replaces the matrices of packable types by their packed forms, and gains, biases and routers by copies: they
/// would keep pages of a mapped file in memory that the matrices beside them have left.
void pack(LlamaBlock& block, Pool& pool);

/// The head, and a copy of the gain before it. An embedding that shares its bytes shares the packed form; any other stays as it is, for its rows are
/// only looked up.
void pack(LlamaEnds& ends, Pool& pool);

/// The matrices of an encoder's blocks.
void pack(BertModel& model, Pool& pool);

}  // namespace starling::core
