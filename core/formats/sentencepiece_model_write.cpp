// tokenizer.model of a vocabulary: the fields that readers need.
#include <optional>

#include "core/formats/sentencepiece_model.h"

namespace starling::core {
namespace {

class MessageWriter {
 public:
  void varint(std::uint32_t id, std::uint64_t value) {
    raw(std::uint64_t{id} << 3);
    raw(value);
  }
  void real(std::uint32_t id, float value) {
    raw(std::uint64_t{id} << 3 | 5);
    out_.number(value);
  }
  void bytes(std::uint32_t id, Bytes data) {
    raw(std::uint64_t{id} << 3 | 2);
    raw(data.size());
    out_.append(data);
  }
  Bytes view() const { return out_.view(); }
  std::vector<std::byte> release() { return out_.release(); }

 private:
  void raw(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.number(static_cast<std::uint8_t>(value | 0x80));
    out_.number(static_cast<std::uint8_t>(value));
  }
  Writer out_;
};

}  // namespace

std::vector<std::byte> encode_sentencepiece_model(const Vocabulary& v, const std::string& target) {
  check(v.model == TokenizerModel::sentencepiece, Kind::unsupported,
        "{}: only vocabularies of the sentencepiece kind can be written as tokenizer.model", target);
  MessageWriter model;
  bool has_bytes = false;
  for (std::size_t i = 0; i < v.pieces.size(); ++i) {
    const PieceKind kind = v.kinds.empty() ? PieceKind::normal : v.kinds[i];
    has_bytes = has_bytes || kind == PieceKind::byte;
    MessageWriter piece;
    piece.bytes(1, std::as_bytes(std::span(v.pieces[i])));
    piece.real(2, v.scores.empty() ? 0.0f : v.scores[i]);
    piece.varint(3, static_cast<std::uint64_t>(kind));
    model.bytes(1, piece.view());
  }
  // A negative int32 is written as the 64-bit two's complement.
  const auto id = [](const std::optional<TokenId>& token) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(token.value_or(-1)));
  };
  MessageWriter trainer;
  trainer.varint(3, kSentencepieceBpe);
  trainer.varint(35, has_bytes ? 1 : 0);
  trainer.varint(40, id(v.unknown));
  trainer.varint(41, id(v.bos));
  trainer.varint(42, id(v.eos));
  trainer.varint(43, id(v.padding));
  model.bytes(2, trainer.view());
  MessageWriter normalizer;
  normalizer.varint(3, v.add_space_prefix.value_or(true) ? 1 : 0);
  normalizer.varint(4, v.remove_extra_whitespaces.value_or(false) ? 1 : 0);
  model.bytes(3, normalizer.view());
  return model.release();
}

}  // namespace starling::core
