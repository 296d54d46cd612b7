// A vocabulary for grammars: token i is the byte i, and 256 ends generation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/text/grammar/token_trie.h"

namespace starling::tests {

inline std::shared_ptr<const core::TokenTrie> byte_tokens() {
  static const auto trie = [] {
    std::vector<std::string> tokens;
    for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
    tokens.emplace_back("");
    std::vector<bool> ends(257, false);
    ends[256] = true;
    return std::make_shared<const core::TokenTrie>(tokens, ends);
  }();
  return trie;
}

}  // namespace starling::tests
