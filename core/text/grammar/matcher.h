// Follows one generated text through a grammar, token by token.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/grammar/grammar.h"
#include "core/text/grammar/state_sets.h"
#include "core/text/grammar/token_trie.h"

namespace starling::core {

/// Use: mask() the logits before the sampler, then accept() the token it chose. Not for several threads at once.
class GrammarMatcher {
 public:
  GrammarMatcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);

  /// Whether the text may go on with `id`; a token that ends generation: whether it may end here.
  bool allows(TokenId id);
  /// Goes on. Kind::usage when allows() would be false.
  void accept(TokenId id);
  /// Sets the logits of all other tokens to -infinity, those behind the vocabulary too. Kind::refused when no token of
  /// the vocabulary can go on; Kind::usage when `logits` is shorter than the vocabulary.
  void mask(std::span<float> logits);
  /// The text so far is whole: it may end here.
  bool may_end() const { return !ended_ && sets_.may_end(at_); }
  /// It is whole and nothing can follow: generation may stop without waiting for the end token.
  bool must_end() const { return ended_ || (sets_.may_end(at_) && sets_.must_end(at_)); }

 private:
  using SetId = StateSets::SetId;
  struct Mask {
    std::vector<std::uint64_t> allowed;  // a bit per token
    bool any = false;
  };
  const Mask& mask_of(SetId set);
  void bound_memory();

  std::shared_ptr<const TokenTrie> trie_;
  StateSets sets_;
  SetId at_;
  bool ended_ = false;
  std::unordered_map<SetId, Mask> masks_;
  std::vector<SetId> path_;  // of the walk, by depth
};

/// Whether the whole of `text` matches: for checks without tokens.
bool matches(std::shared_ptr<const Grammar> grammar, std::string_view text);

}  // namespace starling::core
