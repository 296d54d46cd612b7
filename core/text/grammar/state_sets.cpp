#include "core/text/grammar/state_sets.h"

#include <algorithm>

#include "core/error.h"

namespace starling::core {
namespace {

constexpr std::int32_t kUnknown = -2;
// A grammar that needs more has thousands of readings of one text.
constexpr std::size_t kTopsMax = 16'384;
constexpr std::size_t kSetsMax = std::size_t{1} << 18;
constexpr std::size_t kStacksMax = std::size_t{1} << 22;

}  // namespace

StateSets::StateSets(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)) {
  const Automaton& a = grammar_->automaton();
  for (std::size_t s = 0; s < a.edges.size(); ++s) {
    only_returns_.push_back(a.final[s] && a.edges[s].empty());
    reads_.push_back(std::any_of(a.edges[s].begin(), a.edges[s].end(), [](const auto& e) { return e.bytes >= 0; }));
  }
  stacks_.push_back({-1, 0});
  start_ = close({{a.rules.front().start, 0}});
}

StateSets::StackId StateSets::push(StateId back, StackId below) {
  // A caller that would return at once needs no place: lists by right recursion do not grow the stack.
  if (only_returns_[static_cast<std::size_t>(back)]) return below;
  const std::uint64_t key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(back)) << 32 | below;
  const auto [entry, added] = stack_ids_.emplace(key, static_cast<StackId>(stacks_.size()));
  if (added) {
    check(stacks_.size() < kStacksMax, Kind::refused, "grammar: more than {} stacks", kStacksMax);
    stacks_.push_back({back, below});
  }
  return entry->second;
}

StateSets::SetId StateSets::close(std::vector<Top> work) {
  const Automaton& a = grammar_->automaton();
  Set set;
  std::vector<Top> seen = work;
  std::sort(seen.begin(), seen.end());
  const auto visit = [&](Top top) {
    const auto at = std::lower_bound(seen.begin(), seen.end(), top);
    if (at != seen.end() && *at == top) return;
    check(seen.size() < kTopsMax, Kind::refused, "grammar: more than {} readings of the text at once", kTopsMax);
    seen.insert(at, top);
    work.push_back(top);
  };
  while (!work.empty()) {
    const Top top = work.back();
    work.pop_back();
    const auto s = static_cast<std::size_t>(top.state);
    if (reads_[s]) set.tops.push_back(top);
    for (const Automaton::Edge& e : a.edges[s]) {
      if (e.bytes >= 0) continue;
      if (e.rule < 0)
        visit({e.to, top.stack});
      else
        visit({a.rules[static_cast<std::size_t>(e.rule)].start, push(e.to, top.stack)});
    }
    if (!a.final[s]) continue;
    if (top.stack == 0)
      set.may_end = true;
    else
      visit({stacks_[top.stack].back, stacks_[top.stack].below});
  }
  std::sort(set.tops.begin(), set.tops.end());
  set.tops.erase(std::unique(set.tops.begin(), set.tops.end()), set.tops.end());
  if (set.tops.empty() && !set.may_end) return kDead;
  return intern(std::move(set));
}

StateSets::SetId StateSets::intern(Set set) {
  std::uint64_t hash = set.may_end;
  for (const Top& top : set.tops) {
    hash = (hash ^ static_cast<std::uint32_t>(top.state)) * 0x9E3779B97F4A7C15u;
    hash = (hash ^ (hash >> 29) ^ top.stack) * 0xBF58476D1CE4E5B9u;
  }
  const auto [begin, end] = set_ids_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const Set& known = sets_[static_cast<std::size_t>(it->second)];
    if (known.may_end == set.may_end && known.tops == set.tops) return it->second;
  }
  check(sets_.size() < kSetsMax, Kind::refused, "grammar: more than {} sets of stacks", kSetsMax);
  const auto id = static_cast<SetId>(sets_.size());
  set.steps.assign(static_cast<std::size_t>(grammar_->automaton().classes), kUnknown);
  sets_.push_back(std::move(set));
  set_ids_.emplace(hash, id);
  return id;
}

StateSets::SetId StateSets::next(SetId id, std::uint8_t byte) {
  const Automaton& a = grammar_->automaton();
  const std::size_t byte_class = a.byte_class[byte];
  const SetId known = sets_[static_cast<std::size_t>(id)].steps[byte_class];
  if (known != kUnknown) return known;
  std::vector<Top> work;
  for (const Top& top : sets_[static_cast<std::size_t>(id)].tops)
    for (const Automaton::Edge& e : a.edges[static_cast<std::size_t>(top.state)])
      if (e.bytes >= 0 && a.sets[static_cast<std::size_t>(e.bytes)][byte]) work.push_back({e.to, top.stack});
  std::sort(work.begin(), work.end());
  work.erase(std::unique(work.begin(), work.end()), work.end());
  const SetId to = work.empty() ? kDead : close(std::move(work));
  sets_[static_cast<std::size_t>(id)].steps[byte_class] = to;
  return to;
}

StateSets::StackId StateSets::copy_stack(StackId id, const std::vector<StackNode>& from) {
  std::vector<StateId> backs;
  for (; id != 0; id = from[id].below) backs.push_back(from[id].back);
  StackId copy = 0;
  for (auto back = backs.rbegin(); back != backs.rend(); ++back) copy = push(*back, copy);
  return copy;
}

StateSets::SetId StateSets::forget_all_but(SetId keep) {
  const std::vector<Top> tops = sets_[static_cast<std::size_t>(keep)].tops;
  Set set{.tops = {}, .may_end = sets_[static_cast<std::size_t>(keep)].may_end, .steps = {}};
  const std::vector<StackNode> old = std::exchange(stacks_, {{-1, 0}});
  stack_ids_.clear();
  sets_.clear();
  set_ids_.clear();
  for (const Top& top : tops) set.tops.push_back({top.state, copy_stack(top.stack, old)});
  std::sort(set.tops.begin(), set.tops.end());
  start_ = close({{grammar_->automaton().rules.front().start, 0}});
  return intern(std::move(set));
}

}  // namespace starling::core
