#include "core/text/grammar/token_trie.h"

#include <algorithm>

#include "core/error.h"

namespace starling::core {
namespace {

/// A token behind which others render as they do in the middle of a text, or -1.
TokenId plain_token(const Vocabulary& v) {
  for (std::size_t id = 0; id < v.kinds.size(); ++id)
    if (v.kinds[id] == PieceKind::normal || v.kinds[id] == PieceKind::byte) return static_cast<TokenId>(id);
  return -1;
}

}  // namespace

TokenTrie::TokenTrie(const Tokenizer& tokenizer) {
  const Vocabulary& v = tokenizer.vocabulary();
  const TokenId before = plain_token(v);
  for (std::size_t i = 0; i < v.pieces.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    is_end_.push_back(tokenizer.ends_generation(id));
    texts_.push_back(is_end_.back() ? std::string() : tokenizer.decode_next(before, id));
  }
  build();
}

TokenTrie::TokenTrie(const std::vector<std::string>& tokens, const std::vector<bool>& ends) : texts_(tokens), is_end_(ends) {
  check(tokens.size() == ends.size(), Kind::usage, "token trie: {} ends for {} tokens", ends.size(), tokens.size());
  build();
}

void TokenTrie::build() {
  constexpr std::size_t kBytesMax = 0xFFFF;
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    check(texts_[i].size() <= kBytesMax, Kind::unsupported, "token {} has {} bytes, at most {} fit a token trie", i, texts_[i].size(), kBytesMax);
    if (is_end_[i]) ends_.push_back(static_cast<TokenId>(i));
    if (!is_end_[i] && !texts_[i].empty()) ids_.push_back(static_cast<TokenId>(i));
  }
  std::stable_sort(ids_.begin(), ids_.end(), [&](TokenId a, TokenId b) { return text(a) < text(b); });
  std::vector<std::uint32_t> open;  // the nodes of the token before, by depth
  const auto close = [&](std::size_t depth) {
    for (; open.size() > depth; open.pop_back()) nodes_[open.back()].after = static_cast<std::uint32_t>(nodes_.size());
  };
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const std::string& bytes = text(ids_[i]);
    std::size_t common = 0;
    while (common < open.size() && common < bytes.size() && nodes_[open[common]].byte == static_cast<unsigned char>(bytes[common])) ++common;
    close(common);
    for (std::size_t d = common; d < bytes.size(); ++d) {
      open.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back({static_cast<unsigned char>(bytes[d]), static_cast<std::uint16_t>(d), 0, static_cast<std::uint32_t>(i), 0});
    }
    ++nodes_[open.back()].count;
  }
  close(0);
}

const std::string& TokenTrie::text(TokenId id) const {
  check(id >= 0 && static_cast<std::size_t>(id) < texts_.size(), Kind::usage, "token id {} is outside of the vocabulary of {} pieces", id,
        texts_.size());
  return texts_[static_cast<std::size_t>(id)];
}

bool TokenTrie::is_end(TokenId id) const {
  text(id);
  return is_end_[static_cast<std::size_t>(id)];
}

}  // namespace starling::core
