#include "core/text/grammar/matcher.h"

#include <limits>

#include "core/error.h"

namespace starling::core {
namespace {

// A matcher forgets its sets above these (tens of megabytes); they are found again when they are needed.
constexpr std::size_t kSetsKept = 20'000;
constexpr std::size_t kMaskBytesKept = std::size_t{16} << 20;

}  // namespace

GrammarMatcher::GrammarMatcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie)
    : trie_(std::move(trie)), sets_(std::move(grammar)), at_(sets_.start()) {}

bool GrammarMatcher::allows(TokenId id) {
  if (trie_->is_end(id)) return may_end();
  const std::string& text = trie_->text(id);
  if (ended_ || text.empty()) return false;
  SetId set = at_;
  for (const char c : text)
    if ((set = sets_.next(set, static_cast<std::uint8_t>(c))) == StateSets::kDead) return false;
  return true;
}

void GrammarMatcher::accept(TokenId id) {
  check(allows(id), Kind::usage, "grammar: token {} cannot follow", id);
  if (trie_->is_end(id)) {
    ended_ = true;
    return;
  }
  for (const char c : trie_->text(id)) at_ = sets_.next(at_, static_cast<std::uint8_t>(c));
  bound_memory();
}

void GrammarMatcher::bound_memory() {
  if (sets_.size() <= kSetsKept && masks_.size() * (trie_->size() / 8) <= kMaskBytesKept) return;
  masks_.clear();
  at_ = sets_.forget_all_but(at_);
}

const GrammarMatcher::Mask& GrammarMatcher::mask_of(SetId set) {
  if (const auto known = masks_.find(set); known != masks_.end()) return known->second;
  Mask mask;
  mask.allowed.assign((trie_->size() + 63) / 64, 0);
  const auto allow = [&](TokenId id) {
    mask.allowed[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
    mask.any = true;
  };
  if (sets_.may_end(set))
    for (const TokenId id : trie_->ends()) allow(id);
  const std::span<const TokenTrie::Node> nodes = trie_->nodes();
  path_.assign(1, set);
  for (std::size_t i = 0; i < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    const SetId to = sets_.next(path_[node.depth], node.byte);
    if (to == StateSets::kDead) {
      i = node.after;
      continue;
    }
    path_.resize(node.depth + std::size_t{1});
    path_.push_back(to);
    for (const TokenId id : trie_->tokens().subspan(node.first, node.count)) allow(id);
    ++i;
  }
  return masks_.emplace(set, std::move(mask)).first->second;
}

void GrammarMatcher::mask(std::span<float> logits) {
  check(logits.size() >= trie_->size(), Kind::usage, "grammar: {} logits for a vocabulary of {}", logits.size(), trie_->size());
  check(!ended_, Kind::usage, "grammar: the text has ended");
  const Mask& mask = mask_of(at_);
  check(mask.any, Kind::refused, "grammar: no token of the vocabulary can follow");
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  for (std::size_t w = 0; w < mask.allowed.size(); ++w) {
    const std::uint64_t bits = mask.allowed[w];
    if (bits == ~std::uint64_t{0}) continue;
    const std::size_t begin = w * 64, end = std::min(begin + 64, trie_->size());
    for (std::size_t id = begin; id < end; ++id)
      if (!(bits >> (id - begin) & 1)) logits[id] = kNever;
  }
  for (std::size_t id = trie_->size(); id < logits.size(); ++id) logits[id] = kNever;
}

bool matches(std::shared_ptr<const Grammar> grammar, std::string_view text) {
  StateSets sets(std::move(grammar));
  StateSets::SetId at = sets.start();
  for (const char c : text)
    if ((at = sets.next(at, static_cast<std::uint8_t>(c))) == StateSets::kDead) return false;
  return sets.may_end(at);
}

}  // namespace starling::core
