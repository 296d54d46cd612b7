// The bytes of all tokens of a vocabulary as a tree, so that a grammar looks at each common beginning once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/text/tokenizer.h"

namespace starling::core {

/// Immutable; one per vocabulary serves any number of matchers. A token counts with the bytes it has in the middle of
/// a text; tokens that render empty are not in the tree.
class TokenTrie {
 public:
  explicit TokenTrie(const Tokenizer& tokenizer);
  /// For tests and vocabularies without a tokenizer. `ends[id]`: the token ends generation.
  TokenTrie(const std::vector<std::string>& tokens, const std::vector<bool>& ends);

  /// A node of the tree; nodes are in depth-first order, so that the children of a node follow it.
  struct Node {
    std::uint8_t byte;
    std::uint16_t depth;      // of the byte in the token, from 0
    std::uint32_t after;      // the first node that is not below this one
    std::uint32_t first, count;  // its tokens, in tokens()
  };
  std::span<const Node> nodes() const { return nodes_; }
  std::span<const TokenId> tokens() const { return ids_; }
  std::span<const TokenId> ends() const { return ends_; }
  std::size_t size() const { return texts_.size(); }
  /// Kind::usage for an id outside of the vocabulary.
  const std::string& text(TokenId id) const;
  bool is_end(TokenId id) const;

 private:
  void build();

  std::vector<std::string> texts_;
  std::vector<bool> is_end_;
  std::vector<TokenId> ids_, ends_;
  std::vector<Node> nodes_;
};

}  // namespace starling::core
