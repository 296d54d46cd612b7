// Messages and field numbers (sentencepiece_model.proto): 1 pieces {1 text, 2 score, 3 type}, 2 trainer_spec
// {3 model_type, 35 byte_fallback, 40-43 unk, bos, eos, pad ids}, 3 normalizer_spec {2 precompiled_charsmap,
// 3 add_dummy_prefix, 4 remove_extra_whitespaces}.
#include "core/formats/sentencepiece_model.h"

#include <cmath>
#include <optional>

namespace starling::core {
namespace {

constexpr std::uint64_t kModelTypeUnigram = 1;

/// One field of a message: `number` for varint and fixed fields (raw bits), `bytes` for length-delimited ones.
struct Field {
  std::uint32_t id = 0;
  std::uint64_t number = 0;
  Bytes bytes;
};

std::uint64_t read_varint(Reader& reader, std::string_view field) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    const auto byte = reader.number<std::uint8_t>(field);
    if (shift < 64) value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  reader.malformed(field, "varint longer than 10 bytes");
}

Field read_field(Reader& reader, std::string_view message) {
  const std::uint64_t tag = read_varint(reader, message);
  Field field;
  reader.require(tag >> 3 != 0 && tag >> 32 == 0, message, "field number {}", tag >> 3);
  field.id = static_cast<std::uint32_t>(tag >> 3);
  switch (tag & 7) {
    case 0: field.number = read_varint(reader, message); break;
    case 1: field.number = reader.number<std::uint64_t>(message); break;
    case 2: field.bytes = reader.take(read_varint(reader, message), message); break;
    case 5: field.number = reader.number<std::uint32_t>(message); break;
    default: reader.malformed(message, "field {} of wire type {}", field.id, tag & 7);
  }
  return field;
}

void read_piece(Bytes bytes, const std::string& source, Vocabulary& v) {
  const std::string message = fmt::format("piece {}", v.pieces.size());
  Reader reader(bytes, source);
  std::string text;
  float score = 0;
  std::uint64_t kind = 1;
  while (reader.left() > 0) {
    const Field field = read_field(reader, message);
    if (field.id == 1) text.assign(reinterpret_cast<const char*>(field.bytes.data()), field.bytes.size());
    if (field.id == 2) score = std::bit_cast<float>(static_cast<std::uint32_t>(field.number));
    if (field.id == 3) kind = field.number;
  }
  reader.require(kind >= 1 && kind <= 6, message, "type {}, 1 to 6 expected", kind);
  reader.require(!std::isnan(score), message, "its score is not a number");
  v.pieces.push_back(std::move(text));
  v.scores.push_back(score);
  v.kinds.push_back(static_cast<PieceKind>(kind));
}

struct Trainer {
  std::uint64_t model_type = kModelTypeUnigram;
  std::int32_t unknown = 0, bos = 1, eos = 2, padding = -1;
};

Trainer read_trainer(Bytes bytes, const std::string& source) {
  Reader reader(bytes, source);
  Trainer trainer;
  while (reader.left() > 0) {
    const Field field = read_field(reader, "trainer_spec");
    const auto id = static_cast<std::int32_t>(field.number);
    if (field.id == 3) trainer.model_type = field.number;
    if (field.id == 40) trainer.unknown = id;
    if (field.id == 41) trainer.bos = id;
    if (field.id == 42) trainer.eos = id;
    if (field.id == 43) trainer.padding = id;
  }
  return trainer;
}

void read_normalizer(Bytes bytes, const std::string& source, Vocabulary& v) {
  Reader reader(bytes, source);
  while (reader.left() > 0) {
    const Field field = read_field(reader, "normalizer_spec");
    check(field.id != 2 || field.bytes.empty(), Kind::unsupported,
          "{}: normalizer_spec: models that normalise text are not supported", source);
    if (field.id == 3) v.add_space_prefix = field.number != 0;
    if (field.id == 4) v.remove_extra_whitespaces = field.number != 0;
  }
}

std::optional<TokenId> role(std::int32_t id, std::string_view name, const Vocabulary& v, const std::string& source) {
  if (id < 0) return std::nullopt;
  check(static_cast<std::size_t>(id) < v.pieces.size(), Kind::malformed, "{}: trainer_spec: {} {} of {} pieces", source,
        name, id, v.pieces.size());
  return id;
}

}  // namespace

Vocabulary decode_sentencepiece_model(Bytes file, const std::string& source) {
  Reader reader(file, source);
  Vocabulary v;
  v.model = TokenizerModel::sentencepiece;
  v.add_space_prefix = true;
  v.remove_extra_whitespaces = true;
  Trainer trainer;
  while (reader.left() > 0) {
    const Field field = read_field(reader, "ModelProto");
    if (field.id == 1) read_piece(field.bytes, source, v);
    if (field.id == 2) trainer = read_trainer(field.bytes, source);
    if (field.id == 3) read_normalizer(field.bytes, source, v);
  }
  check(!v.pieces.empty(), Kind::malformed, "{}: pieces: the model holds none", source);
  check(trainer.model_type == kSentencepieceBpe, Kind::unsupported, "{}: trainer_spec: model type {} is not supported, only BPE",
        source, trainer.model_type);
  v.unknown = role(trainer.unknown, "unk_id", v, source);
  v.bos = role(trainer.bos, "bos_id", v, source);
  v.eos = role(trainer.eos, "eos_id", v, source);
  v.padding = role(trainer.padding, "pad_id", v, source);
  return v;
}

}  // namespace starling::core
