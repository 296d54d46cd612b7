// Any vocabulary and any text: making the tokenizer may refuse, encoding and decoding may not misbehave.
// Input: model, flags, pre-tokenizer, number of pieces; each piece as kind, score, length, bytes; number of
// merges as pairs of piece numbers; the rest is the text. All numbers are single bytes.
// covers: core/text/byte_level_bpe.cpp core/text/merger.cpp core/text/pre_tokenizer.cpp core/text/sentencepiece.cpp core/text/special_tokens.cpp core/text/tokenizer.cpp core/text/utf8.cpp core/text/wordpiece.cpp
#include <algorithm>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "tests/fuzz/target.h"

namespace {

using namespace starling::core;

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(reinterpret_cast<const char*>(data), size) {}
  std::uint8_t byte() {
    if (data_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(data_[0]);
    data_.remove_prefix(1);
    return value;
  }
  std::string text(std::size_t length) {
    const std::string value(data_.substr(0, length));
    data_.remove_prefix(value.size());
    return value;
  }
  std::string rest() { return text(data_.size()); }

 private:
  std::string_view data_;
};

Vocabulary read_vocabulary(Input& in) {
  constexpr const char* kPre[] = {"", "gpt-2", "llama-bpe", "qwen2", "qwen35", "starcoder", "falcon", "tekken", "gpt-4o", "no such"};
  Vocabulary v;
  v.model = static_cast<TokenizerModel>(in.byte() % 4);
  const std::uint8_t flags = in.byte();
  if (flags & 1) v.add_space_prefix = flags & 2;
  v.remove_extra_whitespaces = flags & 4;
  v.lowercase = !(flags & 8);
  v.ignore_merges = flags & 16;
  if (flags & 32) v.unknown = 0;
  v.pre = kPre[in.byte() % std::size(kPre)];
  for (int n = in.byte(); n > 0; --n) {
    const std::uint8_t kind = in.byte();
    const bool all_bytes = kind == 0xFF;  // short for the 256 byte pieces
    for (int b = 0; all_bytes && b < 256; ++b) {
      v.kinds.push_back(PieceKind::byte);
      v.scores.push_back(0);
      v.pieces.push_back(fmt::format("<0x{:02X}>", b));
    }
    if (all_bytes) continue;
    v.kinds.push_back(static_cast<PieceKind>(kind % 8));
    v.scores.push_back(static_cast<float>(static_cast<std::int8_t>(in.byte())));
    v.pieces.push_back(in.text(in.byte()));
  }
  for (int n = in.byte(); n > 0 && !v.pieces.empty(); --n) {
    const std::string left = v.pieces[in.byte() % v.pieces.size()];
    v.merges.push_back(left + " " + v.pieces[in.byte() % v.pieces.size()]);
  }
  return v;
}

void round_trip(const Tokenizer& tokenizer, const std::string& text, EncodeOptions options) {
  const std::vector<TokenId> ids = tokenizer.encode(text, options);
  std::string steps;
  TokenId previous = -1;
  for (const TokenId id : ids) {
    steps += tokenizer.decode_next(previous, id);
    previous = id;
  }
  ensure(steps == tokenizer.decode(ids), "decode_next does not add up to decode");
  const Vocabulary& v = tokenizer.vocabulary();
  for (const TokenId id : ids)
    ensure(!tokenizer.ends_generation(id) || v.kinds[id] == PieceKind::control || id == v.eos, "a word ends the generation");
  if (options.parse_special || options.add_special) return;
  for (const TokenId id : ids)
    ensure(v.kinds[id] != PieceKind::control || id == v.unknown, "plain text became a control token");
  const bool all_bytes = std::count(v.kinds.begin(), v.kinds.end(), PieceKind::byte) >= 256;
  if (v.model != TokenizerModel::sentencepiece || !all_bytes || *v.remove_extra_whitespaces) return;
  if (std::count(v.kinds.begin(), v.kinds.end(), PieceKind::user_defined) == 0 && text.find("\u2581") == std::string::npos)
    ensure(steps == text, "sentencepiece with all byte pieces lost text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  Vocabulary vocabulary = read_vocabulary(in);
  const std::string text = in.rest();
  std::unique_ptr<Tokenizer> tokenizer;
  try {
    tokenizer = make_tokenizer(std::move(vocabulary));
  } catch (const Error& e) {
    ensure(e.kind() == Kind::malformed || e.kind() == Kind::unsupported, e.what());
    return 0;
  }
  round_trip(*tokenizer, text, {.add_special = false, .parse_special = false});
  round_trip(*tokenizer, text, {.add_special = true, .parse_special = true});
  Utf8Stream stream;
  std::string streamed;
  for (const char c : text) streamed += stream.push(std::string_view(&c, 1));
  ensure(streamed + stream.finish() == text, "Utf8Stream lost bytes");
  return 0;
}
