// Stop strings against the plain definition: the text in front of the stop string that a stream of single bytes completes
// first; and nothing is held back that need not be.
#include "core/text/stop_strings.h"

#include <doctest/doctest.h>

#include <random>

#include "core/error.h"

using namespace starling;
using core::StopStrings;

namespace {

/// By looking at every prefix of the whole text.
std::string until_stop(const std::string& text, const std::vector<std::string>& stops) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops)
      if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
    if (longest > 0) return text.substr(0, end - longest);
  }
  return text;
}

}  // namespace

TEST_CASE("random streams stop where the plain definition says, in any pieces") {
  std::mt19937_64 generator(1);
  const auto word = [&](std::size_t most) {
    std::string text;
    for (std::size_t n = 1 + generator() % most; n > 0; --n) text += "ab\n"[generator() % 3];
    return text;
  };
  for (int i = 0; i < 5000; ++i) {
    std::vector<std::string> stops;
    for (std::size_t n = generator() % 4; n > 0; --n) stops.push_back(word(4));
    const std::string text = word(20);
    CAPTURE(text);
    StopStrings stream(stops);
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = 1 + generator() % 5;
      out += stream.push(std::string_view(text).substr(at, n));
      at += n;
    }
    out += stream.finish();
    const std::string expected = until_stop(text, stops);
    REQUIRE(out == expected);
    REQUIRE(stream.stopped() == (expected.size() < text.size() || (!stops.empty() && until_stop(text + "c", stops) != text + "c")));
  }
}

TEST_CASE("only what may become a stop string or a character is held back") {
  StopStrings stream({"END", "\n\n"});
  CHECK(stream.push("hello E") == "hello ");
  CHECK(stream.push("N") == "");
  CHECK(stream.push("x\xC3") == "ENx");
  CHECK(stream.push("\xA9\n") == "\xC3\xA9");
  CHECK(stream.push("y") == "\ny");
  CHECK_FALSE(stream.stopped());
  CHECK(stream.push("zEND more") == "z");
  CHECK(stream.stopped());
  CHECK(stream.which() == 0);
  CHECK(stream.push("more") == "");
  CHECK(stream.finish() == "");
  StopStrings none({});
  CHECK(none.push("a\xE2\x82") == "a");
  CHECK(none.finish() == "\xE2\x82");
  CHECK_THROWS_AS(StopStrings({""}), core::Error);
}
