// tokenizer.json (Hugging Face tokenizers) of the BPE kind (byte-level, or SentencePiece-like with byte fallback) or WordPiece,
// and the settings in tokenizer_config.json.
#pragma once

#include <string>

#include "core/bytes.h"
#include "core/text/vocabulary.h"

namespace starling::core {

/// Kind::malformed naming the file and the member; Kind::unsupported naming a component (normaliser,
/// pre-tokenizer, post-processor, model) whose text handling this build does not reproduce. A SentencePiece-like
/// file has no scores: a piece's score is minus the rank of the first merge that makes it.
Vocabulary decode_tokenizer_json(Bytes file, const std::string& source);

/// Roles, add_bos_token, add_eos_token and chat template of tokenizer_config.json, where it states them.
void apply_tokenizer_config(Bytes file, const std::string& source, Vocabulary& vocabulary);

/// tokenizer.json of a byte_level_bpe vocabulary. Kind::unsupported for other kinds and for pre-tokenizers whose
/// expression is not known here.
std::string encode_tokenizer_json(const Vocabulary& vocabulary, const std::string& target);

}  // namespace starling::core
