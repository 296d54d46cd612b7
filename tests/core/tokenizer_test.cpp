// The rules of the two BPE kinds one by one and of the factory, on vocabularies small enough to work out by hand, and what a
// contradictory vocabulary is told.
#include "core/text/tokenizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "core/error.h"

using namespace starling;
using core::PieceKind;
using core::TokenizerModel;
using core::Vocabulary;
using Ids = std::vector<core::TokenId>;

namespace {

constexpr core::EncodeOptions kPlain{.add_special = false, .parse_special = false};
constexpr core::EncodeOptions kSpecial{.add_special = false, .parse_special = true};

struct Piece {
  std::string text;
  float score = 0;
  PieceKind kind = PieceKind::normal;
};

/// <unk> 0, <s> 1, </s> 2, then byte pieces from id 3 if asked for, then `pieces`.
Vocabulary sentencepiece(const std::vector<Piece>& pieces, bool bytes = false) {
  std::vector<Piece> all = {{"<unk>", 0, PieceKind::unknown}, {"<s>", 0, PieceKind::control}, {"</s>", 0, PieceKind::control}};
  for (int b = 0; bytes && b < 256; ++b) all.push_back({fmt::format("<0x{:02X}>", b), 0, PieceKind::byte});
  all.insert(all.end(), pieces.begin(), pieces.end());
  Vocabulary v;
  v.model = TokenizerModel::sentencepiece;
  for (const Piece& piece : all) {
    v.pieces.push_back(piece.text);
    v.scores.push_back(piece.score);
    v.kinds.push_back(piece.kind);
  }
  return v;
}

/// All 256 byte characters (id = byte), then `more`.
Vocabulary byte_level(const std::vector<std::string>& merges, const std::vector<std::string>& more = {}) {
  Vocabulary v;
  v.model = TokenizerModel::byte_level_bpe;
  v.pre = "gpt-2";
  int next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const bool same = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    const int c = same ? b : next++;
    v.pieces.push_back(c < 0x80 ? std::string(1, static_cast<char>(c))
                                : std::string{static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))});
  }
  for (const std::string& merge : merges) {
    std::string joined = merge;
    joined.erase(joined.find(' ', 1), 1);
    v.pieces.push_back(joined);
  }
  v.pieces.insert(v.pieces.end(), more.begin(), more.end());
  v.merges = merges;
  return v;
}

Ids encode(const Vocabulary& v, std::string_view text, core::EncodeOptions options = kPlain) {
  return core::make_tokenizer(v)->encode(text, options);
}

const std::string kSpace = "\u2581";

}  // namespace

TEST_CASE("sentencepiece merges the highest score first and the leftmost of equals") {
  auto v = sentencepiece({{kSpace}, {"a"}, {"b"}, {"c"}, {"ab", -2}, {"bc", -1}, {"aa", -3}});
  v.add_space_prefix = false;
  CHECK(encode(v, "abc") == Ids{4, 8});     // bc scores above ab
  CHECK(encode(v, "aaa") == Ids{9, 4});     // leftmost
  CHECK(encode(v, "aaaaa") == Ids{9, 9, 4});
  v.scores.clear();                         // all equal: leftmost everywhere
  CHECK(encode(v, "abc") == Ids{7, 6});
}

TEST_CASE("sentencepiece puts one space in front and behind special tokens, and decoding takes it off") {
  auto v = sentencepiece({{kSpace}, {"a"}, {kSpace + "a", -1}, {"<tool>", 0, PieceKind::user_defined}});
  CHECK(encode(v, "a") == Ids{5});
  CHECK(encode(v, " a") == Ids{3, 5});
  CHECK(encode(v, "") == Ids{});
  CHECK(encode(v, "a<tool>a") == Ids{5, 6, 5});
  const auto t = core::make_tokenizer(v);
  CHECK(t->decode(encode(v, "a<tool> a<tool>")) == "a<tool> a<tool>");
  CHECK(t->decode(Ids{1, 5, 5}) == "a a");
  CHECK(t->encode("a") == Ids{1, 5});
  v.add_space_prefix = false;
  CHECK(encode(v, "a a") == Ids{4, 5});
  CHECK(core::make_tokenizer(v)->decode(Ids{5}) == " a");
}

TEST_CASE("what sentencepiece has no piece for becomes bytes, or one unknown token a run") {
  auto v = sentencepiece({{kSpace}, {"a"}}, true);
  v.add_space_prefix = false;
  CHECK(encode(v, "a\u00e9") == Ids{260, 3 + 0xC3, 3 + 0xA9});
  CHECK(encode(v, "\xFFz") == Ids{3 + 0xFF, 3 + 'z'});
  CHECK(core::make_tokenizer(v)->decode(encode(v, "a\u00e9\xFF")) == "a\u00e9\xFF");
  auto without = sentencepiece({{kSpace}, {"a"}});
  without.add_space_prefix = false;
  CHECK(encode(without, "axyza") == Ids{4, 0, 4});
  CHECK(core::make_tokenizer(without)->decode(Ids{4, 0, 4}) == "aa");
}

TEST_CASE("a vocabulary without a piece for the space still round-trips through its bytes") {
  const auto t = core::make_tokenizer(sentencepiece({{"a"}}, true));
  CHECK(t->decode(t->encode(" a  a")) == " a  a");
}

TEST_CASE("control, unknown and byte pieces never come out of merging") {
  auto v = sentencepiece({{"<"}, {"s"}, {">"}, {"<s", -1}, {"0"}, {"x"}});
  v.add_space_prefix = false;
  CHECK(encode(v, "<s>") == Ids{6, 5});
  CHECK(encode(v, "<s>", kSpecial) == Ids{1});
  CHECK(encode(v, "<unk>", kSpecial) == Ids{0});
}

TEST_CASE("a merged piece of kind unused falls back into the parts it was merged from") {
  auto v = sentencepiece({{"a"}, {"b"}, {"c"}, {"ab", -1, PieceKind::unused}, {"abc", -2, PieceKind::unused}, {"cab", -3}});
  v.add_space_prefix = false;
  CHECK(encode(v, "ab") == Ids{3, 4});
  CHECK(encode(v, "abc") == Ids{3, 4, 5});
  CHECK(encode(v, "cab") == Ids{8});  // merged through the unused "ab"
}

TEST_CASE("extra white space goes only where the vocabulary asks for it") {
  auto v = sentencepiece({{kSpace}, {"a"}, {kSpace + "a", -1}});
  CHECK(encode(v, "  a   a ") == Ids{3, 3, 5, 3, 3, 5, 3});
  v.remove_extra_whitespaces = true;
  CHECK(encode(v, "  a   a ") == Ids{5, 5});
  CHECK(encode(v, "   ") == Ids{});
}

TEST_CASE("a piece that joins a letter to a following space is merged across words") {
  auto v = sentencepiece({{kSpace}, {"a"}, {"b"}, {"a\u2581", -1}, {"a\u2581b", -2}});
  v.add_space_prefix = false;
  CHECK(encode(v, "a b") == Ids{7});
  CHECK(encode(v, "b b") == Ids{5, 3, 5});
}

TEST_CASE("the longest verbatim token wins, user-defined ones even in plain text") {
  auto v = sentencepiece({{"a"}, {"<x>", 0, PieceKind::user_defined}, {"<x><y>", 0, PieceKind::user_defined}, {"<y><z>", 0, PieceKind::control}});
  v.add_space_prefix = false;
  CHECK(encode(v, "a<x><x><y>a") == Ids{3, 4, 5, 3});
  CHECK(encode(v, "<x><y><z>", kSpecial) == Ids{5, 0});
  CHECK(core::make_tokenizer(v)->decode(Ids{3, 4, 6, 3}) == "a<x>a");
}

TEST_CASE("byte-level merges go by rank inside a pre-token") {
  const auto v = byte_level({"b c", "a b", "\u0120 a", "ab c"});
  CHECK(encode(v, "abc") == Ids{'a', 256});        // rank 0 beats rank 1
  CHECK(encode(v, "ab abd") == Ids{257, ' ', 257, 'd'});
  CHECK(encode(v, " a") == Ids{258});
  const auto t = core::make_tokenizer(v);
  CHECK(t->decode(t->encode("a\u00e9\nb c\t")) == "a\u00e9\nb c\t");
  CHECK(t->encode("\xFF" "a") == Ids{0xEF, 0xBF, 0xBD, 'a'});
}

TEST_CASE("ignore_merges takes a whole pre-token from the vocabulary") {
  auto v = byte_level({"a b"}, {"abc", "\u0120abc"});
  CHECK(encode(v, "abc abc") == Ids{256, 'c', ' ', 256, 'c'});
  v.ignore_merges = true;
  CHECK(encode(v, "abc abc") == Ids{257, 258});
  v.ignore_merges = false;
  v.pre = "llama-bpe";  // this family sets it
  CHECK(encode(v, "abc") == Ids{257});
}

TEST_CASE("a merge result that is no piece is taken apart again, bytes without a piece are dropped") {
  auto v = byte_level({"a b"});
  v.pieces[256] = "unrelated";
  CHECK(encode(v, "ab") == Ids{'a', 'b'});
  v.pieces['a'] += "gone";
  CHECK(encode(v, "ab") == Ids{'b'});
}

TEST_CASE("plain text never becomes a control token, even where a whole pre-token spells one") {
  auto v = byte_level({"s t", "st op"}, {"stop"});
  v.kinds.assign(v.pieces.size(), PieceKind::normal);
  v.kinds.back() = PieceKind::control;
  v.pieces[257] = "op";
  v.ignore_merges = true;
  const Ids ids = encode(v, "stop");
  CHECK(std::find(ids.begin(), ids.end(), 258) == ids.end());
  CHECK(encode(v, "stop", kSpecial) == Ids{258});
}

TEST_CASE("byte-level decoding renders control tokens empty and user-defined ones as they are") {
  auto v = byte_level({}, {"<|im_end|>", "[TOOL]  x"});
  v.kinds.assign(v.pieces.size(), PieceKind::normal);
  v.kinds[257] = PieceKind::user_defined;
  const auto t = core::make_tokenizer(v);
  CHECK(t->decode(Ids{'a', 256, 257, 'b'}) == "a[TOOL]  xb");
  CHECK(t->ends_generation(256));  // its text says so, whatever its kind
  CHECK_FALSE(t->ends_generation('a'));
}

TEST_CASE("begin and end tokens follow the vocabulary and its defaults") {
  auto v = sentencepiece({{kSpace + "a"}, {kSpace}, {"a"}});
  CHECK(core::make_tokenizer(v)->encode("") == Ids{1});
  v.add_eos = true;
  CHECK(core::make_tokenizer(v)->encode("a") == Ids{1, 3, 2});
  v.add_bos = false;
  CHECK(core::make_tokenizer(v)->encode("a") == Ids{3, 2});
  auto bpe = byte_level({});
  CHECK(core::make_tokenizer(bpe)->encode("a") == Ids{'a'});
  bpe.pre = "llama3";
  CHECK(core::make_tokenizer(bpe)->encode("a") == Ids{'a'});  // would add one, has none
  bpe.bos = 7;
  CHECK(core::make_tokenizer(bpe)->encode("a") == Ids{7, 'a'});
}

TEST_CASE("a vocabulary that contradicts itself is refused by name") {
  struct Case {
    const char* what;
    std::function<void(Vocabulary&)> change;
    core::Kind kind;
    const char* says;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<Case> cases = {
      {"no model", [](Vocabulary& v) { v.model = TokenizerModel::none; }, core::Kind::unsupported, "no tokenizer"},
      {"no pieces", [](Vocabulary& v) { v.pieces.clear(); }, core::Kind::malformed, "no pieces"},
      {"scores", [](Vocabulary& v) { v.scores.pop_back(); }, core::Kind::malformed, "4 scores for 5 pieces"},
      {"kinds", [](Vocabulary& v) { v.kinds.pop_back(); }, core::Kind::malformed, "4 kinds for 5 pieces"},
      {"score", [nan](Vocabulary& v) { v.scores[3] = nan; }, core::Kind::malformed, "score of piece 3"},
      {"kind", [](Vocabulary& v) { v.kinds[4] = static_cast<PieceKind>(7); }, core::Kind::malformed, "kind 7 of piece 4"},
      {"byte", [](Vocabulary& v) { v.kinds[4] = PieceKind::byte; }, core::Kind::malformed, "byte piece 4"},
      {"bos", [](Vocabulary& v) { v.bos = 5; }, core::Kind::malformed, "bos token id 5"},
      {"eos", [](Vocabulary& v) { v.eos = -1; }, core::Kind::malformed, "eos token id -1"},
      {"mask", [](Vocabulary& v) { v.mask = 99; }, core::Kind::malformed, "mask token id 99"},
      {"long", [](Vocabulary& v) { v.pieces[3].assign(5000, 'a'); }, core::Kind::malformed, "piece 3 has 5000 bytes"},
      {"no bos", [](Vocabulary& v) { v.kinds[1] = PieceKind::normal, v.add_bos = true; }, core::Kind::malformed, "add_bos"},
      {"no eos", [](Vocabulary& v) { v.kinds[2] = PieceKind::normal, v.pieces[2].back() = 'x', v.add_eos = true; }, core::Kind::malformed, "add_eos"},
      {"no sep", [](Vocabulary& v) { v.add_separator = true; }, core::Kind::malformed, "add_separator"},
      {"no unk", [](Vocabulary& v) { v.kinds[0] = PieceKind::normal; }, core::Kind::malformed, "unknown token"},
      {"pre", [](Vocabulary& v) { v = byte_level({}), v.pre = "gpt-9"; }, core::Kind::unsupported, "\"gpt-9\" is unknown; known are llama-bpe"},
      {"merge", [](Vocabulary& v) { v = byte_level({"a b"}), v.merges.push_back("ab"); }, core::Kind::malformed, "merge 1 is \"ab\""},
      {"wordpiece", [](Vocabulary& v) { v.model = TokenizerModel::wordpiece; }, core::Kind::malformed, "wordpiece needs an unknown"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    Vocabulary v = sentencepiece({{kSpace}, {"a"}});
    c.change(v);
    try {
      core::make_tokenizer(v);
      FAIL("accepted");
    } catch (const core::Error& e) {
      CHECK(e.kind() == c.kind);
      CHECK(std::string(e.what()).find(c.says) != std::string::npos);
    }
  }
}

TEST_CASE("ids outside of the vocabulary are the caller's mistake") {
  const auto t = core::make_tokenizer(sentencepiece({{"a"}}));
  for (const core::TokenId id : {-1, 4, 1'000'000}) {
    CHECK_THROWS_AS(t->decode(Ids{id}), core::Error);
    CHECK_THROWS_AS((void)t->ends_generation(id), core::Error);
  }
  CHECK_THROWS_AS(t->decode_next(99, 3), core::Error);
}
