// UTF-8 decoding, repair, and whole characters out of a stream cut anywhere.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/text/utf8.h"

using namespace starling::core;

TEST_CASE("every code point but the surrogates survives encoding and decoding") {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const Utf8Character back = decode_utf8(text, 0);
    if (back.code_point == c && back.length == text.size()) continue;
    CAPTURE(static_cast<unsigned>(c));
    REQUIRE(false);
  }
}

TEST_CASE("overlong forms, surrogates, stray and missing bytes are not characters") {
  for (const char* bad : {"\x80", "\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                          "\xFF", "\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xE2(\xA1"}) {
    CAPTURE(bad);
    CHECK(decode_utf8(bad, 0).length == 0);
  }
}

TEST_CASE("each byte of no character becomes one replacement character") {
  CHECK(replace_invalid_utf8("a\xFF\xFE\u00e9\xE2\x82") == "a\uFFFD\uFFFD\u00e9\uFFFD\uFFFD");
  CHECK(replace_invalid_utf8("plain") == "plain");
}

TEST_CASE("a stream hands on whole characters wherever it is cut, and loses nothing") {
  const std::string text = "a\u00e9\u4e2d\U0001F999z\xFF\xE2\x28\xF0\x9F\u00e9\xE2\x82";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    Utf8Stream stream;
    std::string all;
    for (std::size_t i = 0; i < text.size(); i += step) all += stream.push(std::string_view(text).substr(i, step));
    CHECK(all == text.substr(0, text.size() - 2));
    CHECK(stream.finish() == "\xE2\x82");
    CHECK(stream.finish().empty());
  }
  Utf8Stream stream;
  CHECK(stream.push("\xF0\x9F") == "");
  CHECK(stream.push("\xA6") == "");
  CHECK(stream.push("\x99!") == "\U0001F999!");
}
