// What differs between the kinds of tokenizer: how a stretch of plain text becomes ids and what bytes an id
// stands for. tokenizer.cpp adds what they share: checks, special tokens, begin and end.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/vocabulary.h"

namespace starling::core {

class TextAlgorithm {
 public:
  virtual ~TextAlgorithm() = default;
  /// Appends the ids of `text` (not empty), which stands at the start or directly behind a special token.
  virtual void encode(std::string_view text, std::vector<TokenId>& out) const = 0;
  /// The bytes of `id` behind `previous` (-1: at the start); both are inside the vocabulary.
  virtual std::string render(TokenId previous, TokenId id) const = 0;
};

/// Each keeps a reference to `vocabulary`, which has been checked and whose kinds are complete.
std::unique_ptr<TextAlgorithm> make_sentencepiece(const Vocabulary& vocabulary);
std::unique_ptr<TextAlgorithm> make_byte_level_bpe(const Vocabulary& vocabulary);
std::unique_ptr<TextAlgorithm> make_wordpiece(const Vocabulary& vocabulary);

/// The value of a byte piece "<0xHH>", or -1 when `piece` is not written like that.
int byte_piece_value(std::string_view piece);

}  // namespace starling::core
