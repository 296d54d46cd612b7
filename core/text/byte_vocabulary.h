// The vocabulary of models that are trained on bytes: the same for everybody, whatever texts he holds, and complete.
#pragma once

#include "core/text/vocabulary.h"

namespace starling::core {

constexpr TokenId kByteBos = 1;
constexpr TokenId kByteVocabularySize = 260;

/// Unknown, BOS and EOS, then every byte, then U+2581: as SentencePiece-type tokenizers write a space like that, the
/// space is this token and its byte is never used.
Vocabulary byte_vocabulary();

/// How byte_vocabulary() encodes one byte of a text.
constexpr TokenId byte_token(unsigned char byte) { return byte == ' ' ? kByteVocabularySize - 1 : 3 + byte; }

}  // namespace starling::core
