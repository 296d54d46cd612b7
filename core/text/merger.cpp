// A flat hash table of pairs (linear probing, at most half full) and the heap merge.
#include "core/text/merger.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "core/error.h"

namespace starling::core {

namespace {
// Not a pair of non-negative symbols, so it can mark a free slot.
constexpr std::uint64_t kFree = ~std::uint64_t{0};
}  // namespace

MergeTable::MergeTable(std::size_t pairs_expected) {
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(16, pairs_expected * 2));
  slots_.assign(slots, {kFree, {}});
  shift_ = 64 - std::countr_zero(slots);
}

std::uint64_t MergeTable::key_of(SymbolId left, SymbolId right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

void MergeTable::add(SymbolId left, SymbolId right, Result result) {
  ensure(left >= 0 && right >= 0, "MergeTable::add: negative symbol");
  if ((used_ + 1) * 2 > slots_.size()) grow();
  const std::uint64_t key = key_of(left, right);
  std::size_t i = home(key);
  for (; slots_[i].key != kFree; i = (i + 1) & (slots_.size() - 1))
    if (slots_[i].key == key) return;
  slots_[i] = {key, result};
  ++used_;
}

void MergeTable::grow() {
  std::vector<Slot> old(slots_.size() * 2, {kFree, {}});
  old.swap(slots_);
  --shift_;
  for (const Slot& slot : old) {
    if (slot.key == kFree) continue;
    std::size_t i = home(slot.key);
    while (slots_[i].key != kFree) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
}

const MergeTable::Result* MergeTable::find(SymbolId left, SymbolId right) const {
  if (left < 0 || right < 0) return nullptr;
  const std::uint64_t key = key_of(left, right);
  for (std::size_t i = home(key); slots_[i].key != kFree; i = (i + 1) & (slots_.size() - 1))
    if (slots_[i].key == key) return &slots_[i].result;
  return nullptr;
}

void Merger::clear() {
  nodes_.clear();
  heap_.clear();
  history_.clear();
}

void Merger::push(SymbolId id) {
  check(nodes_.size() < static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()), Kind::refused,
        "text: more than 2^31 symbols in one stretch");
  const auto at = static_cast<std::int32_t>(nodes_.size());
  if (at > 0) nodes_.back().next = at;
  nodes_.push_back({id, at - 1, -1, -1});
}

std::optional<Merger::Candidate> Merger::candidate(std::int32_t left) const {
  const std::int32_t right = nodes_[left].next;
  if (right < 0) return std::nullopt;
  const MergeTable::Result* found = table_.find(nodes_[left].id, nodes_[right].id);
  if (!found) return std::nullopt;
  return Candidate{static_cast<std::uint64_t>(found->priority) << 32 | static_cast<std::uint32_t>(left), nodes_[left].id,
                   nodes_[right].id, found->merged};
}

namespace {
constexpr auto kLater = [](const auto& a, const auto& b) { return a.order > b.order; };
}

void Merger::offer(std::int32_t left) {
  if (const auto c = candidate(left)) {
    heap_.push_back(*c);
    std::push_heap(heap_.begin(), heap_.end(), kLater);
  }
}

const std::vector<Merger::Symbol>& Merger::run() {
  row_.clear();
  if (nodes_.empty()) return row_;
  for (std::int32_t i = 0; i >= 0; i = nodes_[i].next)
    if (const auto c = candidate(i)) heap_.push_back(*c);
  std::make_heap(heap_.begin(), heap_.end(), kLater);
  while (!heap_.empty()) {
    const Candidate c = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    heap_.pop_back();
    const auto left = static_cast<std::int32_t>(c.order & 0xFFFFFFFFu);
    const std::int32_t right = nodes_[left].next;
    // Stale: one of the two has merged with another neighbour since (a swallowed node has symbol -1).
    if (nodes_[left].id != c.left || right < 0 || nodes_[right].id != c.right) continue;
    history_.push_back({c.left, c.right, nodes_[left].origin, nodes_[right].origin});
    nodes_[left] = {c.merged, nodes_[left].previous, nodes_[right].next, static_cast<std::int32_t>(history_.size() - 1)};
    nodes_[right].id = -1;
    if (nodes_[left].next >= 0) nodes_[nodes_[left].next].previous = left;
    if (nodes_[left].previous >= 0) offer(nodes_[left].previous);
    offer(left);
  }
  for (std::int32_t i = 0; i >= 0; i = nodes_[i].next) row_.push_back({nodes_[i].id, i, nodes_[i].origin});
  return row_;
}

}  // namespace starling::core
