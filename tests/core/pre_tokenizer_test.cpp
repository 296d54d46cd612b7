// How the expressions cut texts, against another engine: tests/golden/make_pre_tokenizer.py made the cuts with Python's regex.
#include "core/text/pre_tokenizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/core/text_data.h"

using namespace starling;

namespace {

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

TEST_CASE("the expressions of gpt-2, llama3, qwen2, tekken and o200k cut as another engine does") {
  const auto golden = nlohmann::json::parse(tests::slurp(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden/pre_tokenizer.json"));
  const std::vector<std::string> texts = golden.at("texts");
  REQUIRE(texts.size() > 300);
  for (const auto& [name, cuts] : golden.at("code_points").items()) {
    CAPTURE(name);
    const core::PreTokenizer pre_tokenizer(name);
    REQUIRE(cuts.size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      std::vector<std::size_t> lengths;
      for (const std::string_view piece : pre_tokenizer.split(texts[i])) lengths.push_back(code_points(piece));
      CAPTURE(texts[i]);
      CHECK(lengths == cuts[i].get<std::vector<std::size_t>>());
    }
  }
}
