// WordPiece on vocabularies made here: covering words, and the normal form of every character.
#include <doctest/doctest.h>

#include "core/text/tokenizer.h"
#include "core/text/utf8.h"

using namespace starling;
using core::PieceKind;
using core::Vocabulary;
using Ids = std::vector<core::TokenId>;

namespace {

constexpr core::EncodeOptions kPlain{.add_special = false, .parse_special = false};
constexpr core::EncodeOptions kSpecial{.add_special = false, .parse_special = true};
const std::string kSpace = "\u2581";

/// [UNK] 0, [CLS] 1, [SEP] 2, then `pieces`.
Vocabulary wordpiece(const std::vector<std::string>& pieces) {
  Vocabulary v;
  v.model = core::TokenizerModel::wordpiece;
  v.pieces = {"[UNK]", "[CLS]", "[SEP]"};
  v.pieces.insert(v.pieces.end(), pieces.begin(), pieces.end());
  v.kinds.assign(v.pieces.size(), PieceKind::normal);
  v.kinds[0] = v.kinds[1] = v.kinds[2] = PieceKind::control;
  v.unknown = 0;
  v.cls = 1;
  v.separator = 2;
  return v;
}

/// Every code point below U+20000 as a whole word and as a continuation.
std::unique_ptr<core::Tokenizer> every_character() {
  std::vector<std::string> pieces;
  for (char32_t c = 0x21; c < 0x20000; ++c) {
    if ((c >= 0xD800 && c < 0xE000) || c == 0x2581) continue;
    std::string character;
    core::append_utf8(character, c);
    pieces.push_back(kSpace + character);
    pieces.push_back(character);
  }
  return core::make_tokenizer(wordpiece(pieces));
}

}  // namespace

TEST_CASE("WordPiece covers words with the longest pieces or not at all") {
  Vocabulary v = wordpiece({kSpace + "play", kSpace + "p", "ing", "l", "a", "y", kSpace + ",", kSpace + "\u4e2d"});
  const auto t = core::make_tokenizer(v);
  CHECK(t->encode("Playing,play") == Ids{1, 3, 5, 9, 3, 2});
  CHECK(t->encode("play\u4e2dplay", kPlain) == Ids{3, 10, 3});
  CHECK(t->encode("playx play", kPlain) == Ids{0, 3});
  CHECK(t->encode("PL\u00c1Y", kPlain) == Ids{3});
  CHECK(t->decode(t->encode("Playing ,xyz play")) == "playing , [UNK] play");
  CHECK(t->encode(std::string("p") + std::string(99, 'a'), kPlain).size() == 100);
  CHECK(t->encode(std::string("p") + std::string(100, 'a'), kPlain) == Ids{0});
  v.lowercase = false;
  CHECK(core::make_tokenizer(v)->encode("Play", kPlain) == Ids{0});
}

TEST_CASE("the normal form is lower case without accents, one space between words, punctuation apart") {
  const auto t = every_character();
  const auto normal = [&](std::string_view text) { return t->decode(t->encode(text)); };
  CHECK(normal("  H\u00e9llo,\tW\u00d6RLD!\r\n ") == "hello , world !");
  CHECK(normal("a\u4e2d\u6587b") == "a \u4e2d \u6587 b");
  CHECK(normal("\u0130I \u1e9e \u212b") == "ii \u00df a");
  CHECK(normal("\ud55c") == "\u1112\u1161\u11ab");            // Hangul falls apart into its letters
  CHECK(normal("x\u0903\u0301y") == "x\u0903y");                // only nonspacing marks go
  CHECK(normal("a\u200b\u00ad\ufffd\xFF" "b") == "ab");         // nothing visible, or not a character
  CHECK(normal("") == "");
  CHECK(normal("caf\u00e9\u00a0\u2003bar") == "cafe bar");
}

TEST_CASE("the normal form of every character is its own normal form") {
  const auto t = every_character();
  for (char32_t c = 1; c < 0x110000; ++c) {
    if (c == 0xD800) c = 0xE000;
    std::string text = "a";
    core::append_utf8(text, c);
    text += "B";
    const std::string normal = t->decode(t->encode(text));
    const std::string again = t->decode(t->encode(normal, kSpecial));
    if (again == normal) continue;
    CAPTURE(static_cast<unsigned>(c));
    REQUIRE(again == normal);
  }
}
