// Text to token ids and back. One interface, one file per algorithm (sentencepiece.cpp, byte_level_bpe.cpp,
// wordpiece.cpp). What decode(encode(text)) gives, without parse_special:
//   sentencepiece   the bytes of `text`, invalid UTF-8 included, where the vocabulary has all byte pieces (U+2581
//                   itself comes back as a space, and remove_extra_whitespaces does what it says).
//   byte-level BPE  the bytes of `text`, with U+FFFD for each byte that is not UTF-8.
//   WordPiece       its normal form: lower case without accents (if the vocabulary lowers), control characters
//                   dropped, words joined by single spaces, every punctuation mark and ideograph a word of its
//                   own, words that no pieces cover as [UNK]. Encoding the normal form with parse_special gives
//                   the same ids again.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/vocabulary.h"

namespace starling::core {

struct EncodeOptions {
  bool add_special = true;     // BOS / EOS / CLS / SEP as the vocabulary asks for
  bool parse_special = false;  // control tokens written out in the text become their ids: never for user text
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const = 0;
  /// The bytes of `ids`. Control and unknown tokens render empty (WordPiece shows [UNK]). The space that
  /// encoding adds at the start and behind special tokens is dropped again (sentencepiece). Kind::usage for an
  /// id outside the vocabulary.
  virtual std::string decode(std::span<const TokenId> ids) const = 0;
  /// The bytes that `id` adds when it follows `previous` (-1: nothing): what streaming prints. Concatenated
  /// over a sequence it equals decode().
  virtual std::string decode_next(TokenId previous, TokenId id) const = 0;
  /// As given to make_tokenizer, with the kinds, flags and roles that the file left to their defaults filled in.
  virtual const Vocabulary& vocabulary() const = 0;
  /// eos, eot, eom and every piece that is a known end-of-generation text.
  virtual bool ends_generation(TokenId id) const = 0;
};

/// Kind::malformed when the vocabulary contradicts itself (sizes, ids out of range), Kind::unsupported for
/// TokenizerModel::none and unknown pre-tokenizers. The tokenizer may be used from several threads.
std::unique_ptr<Tokenizer> make_tokenizer(Vocabulary vocabulary);

}  // namespace starling::core
