// Vocabularies as GGUF metadata: the parts that the writer and other readers share.
#pragma once

#include <string_view>

#include "core/formats/gguf.h"
#include "core/text/vocabulary.h"

namespace starling::core {

/// Appends the tokenizer.* keys of `vocabulary`.
void append_vocabulary(GgufMetadata& metadata, const Vocabulary& vocabulary);

/// Whether that pre-tokenizer's models take a pre-token that is in the vocabulary whole, without merging.
bool ignores_merges(std::string_view pre);

}  // namespace starling::core
