// tokenizer.model: a SentencePiece ModelProto (Kudo and Richardson 2018), decoded by hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/text/vocabulary.h"

namespace starling::core {

/// trainer_spec.model_type of byte-pair encoding.
inline constexpr std::uint64_t kSentencepieceBpe = 2;

/// Kind::malformed when the protobuf is broken; Kind::unsupported for unigram models and for models that
/// normalise text, which this build's tokenizer does not.
Vocabulary decode_sentencepiece_model(Bytes file, const std::string& source);

/// Kind::unsupported unless the vocabulary is of the sentencepiece kind.
std::vector<std::byte> encode_sentencepiece_model(const Vocabulary& vocabulary, const std::string& target);

}  // namespace starling::core
