// What a tokenizer is made of, as model files store it: pieces, their scores and kinds, merges, ids with a
// role. A plain value; core/text/tokenizer.h gives it behaviour.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace starling::core {

using TokenId = std::int32_t;

/// The numbers are those of GGUF's tokenizer.ggml.token_type and of SentencePiece.
enum class PieceKind : std::int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

enum class TokenizerModel {
  none,            // the file carries no vocabulary: ids only
  sentencepiece,   // "llama": BPE by score with byte fallback
  byte_level_bpe,  // "gpt2": BPE by merge rank over bytes written as printable characters
  wordpiece,       // "bert": greedy longest match per word
};

struct Vocabulary {
  TokenizerModel model = TokenizerModel::none;
  std::string pre;                  // pre-tokenizer name ("gpt-2", "falcon", "llama-bpe", ...), byte_level_bpe only
  std::vector<std::string> pieces;  // the index is the token id
  std::vector<float> scores;        // empty, or one per piece
  std::vector<PieceKind> kinds;     // empty (all normal), or one per piece
  std::vector<std::string> merges;  // "left right", by rank; byte_level_bpe only
  std::optional<TokenId> bos, eos, eot, eom, unknown, separator, padding, cls, mask;
  // Absent = the default of the tokenizer model (gguf-style: sentencepiece adds BOS and a space prefix).
  std::optional<bool> add_bos, add_eos, add_separator, add_space_prefix, remove_extra_whitespaces, lowercase;
  bool ignore_merges = false;       // emit a whole pre-token that is in the vocabulary without merging
  std::string chat_template;
};

}  // namespace starling::core
