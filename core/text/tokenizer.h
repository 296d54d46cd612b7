// Text to token ids and back. One interface, one file per algorithm (sentencepiece.cpp, byte_level_bpe.cpp,
// wordpiece.cpp).
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
  /// The bytes of `ids`. Control tokens render empty. The leading space that encoding added is dropped
  /// (sentencepiece). Kind::usage for an id outside the vocabulary.
  virtual std::string decode(std::span<const TokenId> ids) const = 0;
  /// The bytes that `id` adds when it follows `previous` (-1: nothing): what streaming prints. Concatenated
  /// over a sequence it equals decode().
  virtual std::string decode_next(TokenId previous, TokenId id) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  /// eos, eot, eom and every piece that is a known end-of-generation text.
  virtual bool ends_generation(TokenId id) const = 0;
};

/// Kind::malformed when the vocabulary contradicts itself (sizes, ids out of range), Kind::unsupported for
/// TokenizerModel::none and unknown pre-tokenizers.
std::unique_ptr<Tokenizer> make_tokenizer(Vocabulary vocabulary);

}  // namespace starling::core
