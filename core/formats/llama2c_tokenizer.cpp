// tokenizer.bin: u32 length of the longest token, then per id f32 score, i32 length, bytes, to the end of the
// file (the count is the model's).
#include <cmath>
#include <string>
#include <string_view>

#include "core/formats/llama2c.h"

namespace starling::core {
namespace {

constexpr TokenId kUnknown = 0, kBos = 1, kEos = 2, kFirstByte = 3;
constexpr std::size_t kTokenBytesMax = 4096;

std::string with_marked_spaces(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == ' ')
      result += "\xe2\x96\x81";  // U+2581
    else
      result += c;
  }
  return result;
}

std::string byte_piece(std::size_t value) { return fmt::format("<0x{:02X}>", value); }

/// The pieces that are no text, by their ids and spelling.
void name_special_pieces(Vocabulary& v) {
  const auto mark = [&](TokenId id, std::string_view spelled, std::string_view piece, PieceKind kind,
                        std::optional<TokenId>& role) {
    const auto i = static_cast<std::size_t>(id);
    if (i >= v.pieces.size() || (v.pieces[i] != spelled && v.pieces[i] != piece)) return;
    v.pieces[i] = piece;
    v.kinds[i] = kind;
    role = id;
  };
  mark(kUnknown, "<unk>", "<unk>", PieceKind::unknown, v.unknown);
  mark(kBos, "\n<s>\n", "<s>", PieceKind::control, v.bos);
  mark(kEos, "\n</s>\n", "</s>", PieceKind::control, v.eos);
  for (std::size_t value = 0; value < 256; ++value) {
    const std::size_t id = value + kFirstByte;
    if (id < v.pieces.size() && v.pieces[id] == byte_piece(value)) v.kinds[id] = PieceKind::byte;
  }
}

}  // namespace

Vocabulary decode_llama2c_tokenizer(Bytes file, const std::string& source) {
  Reader reader(file, source);
  const auto longest = reader.number<std::uint32_t>("max_token_length");
  reader.require(longest <= kTokenBytesMax, "max_token_length", "{}, at most {} allowed", longest, kTokenBytesMax);
  Vocabulary v;
  v.model = TokenizerModel::sentencepiece;
  while (reader.left() > 0) {
    const std::string field = fmt::format("token {}", v.pieces.size());
    const auto score = reader.number<float>(field);
    reader.require(!std::isnan(score), field, "its score is not a number");
    const auto length = reader.number<std::uint32_t>(field);
    reader.require(length <= longest, field, "length {}, max_token_length says {}", length, longest);
    v.pieces.push_back(with_marked_spaces(reader.text(length, field)));
    v.scores.push_back(score);
    v.kinds.push_back(PieceKind::normal);
  }
  check(!v.pieces.empty(), Kind::malformed, "{}: token 0: the file holds no tokens", source);
  name_special_pieces(v);
  v.add_bos = true;
  v.add_eos = false;
  v.add_space_prefix = true;
  v.remove_extra_whitespaces = false;
  return v;
}

}  // namespace starling::core
