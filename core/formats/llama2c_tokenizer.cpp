// tokenizer.bin: u32 length of the longest token, then per id f32 score, i32 length, bytes, to the end of the
// file (the count is the model's).
#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "core/file.h"
#include "core/formats/llama2c.h"

namespace starling::core {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581
constexpr TokenId kUnknown = 0, kBos = 1, kEos = 2, kFirstByte = 3;
constexpr std::size_t kTokenBytesMax = 4096;

std::string byte_piece(std::size_t value) { return fmt::format("<0x{:02X}>", value); }

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with(from)) {
      result += to;
      at += from.size();
    } else {
      result += text[at++];
    }
  }
  return result;
}

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
  if (longest > kTokenBytesMax) reader.malformed("max_token_length", "{}, at most {} allowed", longest, kTokenBytesMax);
  Vocabulary v;
  v.model = TokenizerModel::sentencepiece;
  while (reader.left() > 0) {
    const std::string field = fmt::format("token {}", v.pieces.size());
    const auto score = reader.number<float>(field);
    if (std::isnan(score)) reader.malformed(field, "its score is not a number");
    const auto length = reader.number<std::uint32_t>(field);
    if (length > longest) reader.malformed(field, "length {}, max_token_length says {}", length, longest);
    v.pieces.push_back(replaced(reader.text(length, field), " ", kSpace));
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

void save_llama2c_tokenizer(const std::filesystem::path& path, const Vocabulary& v) {
  check(v.model == TokenizerModel::sentencepiece, Kind::unsupported,
        "{}: llama2.c tokenizers hold only vocabularies of the sentencepiece kind", path.string());
  Writer body;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < v.pieces.size(); ++i) {
    std::string text = replaced(v.pieces[i], kSpace, " ");
    const auto id = static_cast<TokenId>(i);
    if (id == v.bos || id == v.eos) text = "\n" + text + "\n";
    longest = std::max(longest, text.size());
    body.number(v.scores.empty() ? 0.0f : v.scores[i]);
    body.number(static_cast<std::uint32_t>(text.size()));
    body.text(text);
  }
  Writer head;
  head.number(static_cast<std::uint32_t>(longest));
  write_file(path, [&](const Sink& sink) {
    sink(head.view());
    sink(body.view());
  });
}

}  // namespace starling::core
