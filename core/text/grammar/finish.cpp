// What must hold before an automaton is used: no rule begins with itself (its stack would grow without reading a byte),
// and every position can still reach the end (so that no text runs into a dead end).
#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/text/grammar/automaton.h"

namespace starling::core {
namespace {

/// Which states of each rule can reach its end, when `passes` says for an edge whether it can be passed. Backwards from
/// the end, over the whole automaton at once, whenever another rule turns out to have an end.
template <class Passes>
std::vector<bool> reaching_the_end(const Automaton& a, Passes&& passes) {
  std::vector<std::vector<std::pair<StateId, const Automaton::Edge*>>> into(a.edges.size());
  std::vector<std::vector<std::pair<StateId, const Automaton::Edge*>>> callers(a.rules.size());
  for (std::size_t s = 0; s < a.edges.size(); ++s)
    for (const Automaton::Edge& e : a.edges[s]) {
      into[static_cast<std::size_t>(e.to)].emplace_back(static_cast<StateId>(s), &e);
      if (e.rule >= 0) callers[static_cast<std::size_t>(e.rule)].emplace_back(static_cast<StateId>(s), &e);
    }
  std::map<StateId, RuleId> starts;
  for (std::size_t r = 0; r < a.rules.size(); ++r) starts.emplace(a.rules[r].start, static_cast<RuleId>(r));
  std::vector<bool> reached(a.edges.size(), false);
  std::vector<StateId> work;
  const auto reach = [&](StateId s) {
    if (reached[static_cast<std::size_t>(s)]) return;
    reached[static_cast<std::size_t>(s)] = true;
    work.push_back(s);
  };
  for (const Automaton::Rule& rule : a.rules) reach(rule.end);
  while (!work.empty()) {
    const StateId s = work.back();
    work.pop_back();
    for (const auto& [from, e] : into[static_cast<std::size_t>(s)]) {
      const bool passable = e->rule >= 0 ? reached[static_cast<std::size_t>(a.rules[static_cast<std::size_t>(e->rule)].start)] : passes(*e);
      if (passable) reach(from);
    }
    const auto rule = starts.find(s);
    if (rule == starts.end()) continue;
    for (const auto& [from, e] : callers[static_cast<std::size_t>(rule->second)])
      if (reached[static_cast<std::size_t>(e->to)]) reach(from);
  }
  return reached;
}

/// The rules that can be entered before `rule` has read a byte. `empty`: states from which the end is reached without one.
std::vector<RuleId> first_calls(const Automaton& a, RuleId rule, const std::vector<bool>& empty) {
  std::vector<StateId> work{a.rules[static_cast<std::size_t>(rule)].start};
  std::vector<RuleId> calls;
  std::map<StateId, bool> seen{{work.front(), true}};
  while (!work.empty()) {
    const StateId s = work.back();
    work.pop_back();
    for (const Automaton::Edge& e : a.edges[static_cast<std::size_t>(s)]) {
      if (e.bytes >= 0) continue;
      if (e.rule >= 0) calls.push_back(e.rule);
      const bool skips = e.rule < 0 || empty[static_cast<std::size_t>(a.rules[static_cast<std::size_t>(e.rule)].start)];
      if (skips && seen.emplace(e.to, true).second) work.push_back(e.to);
    }
  }
  std::sort(calls.begin(), calls.end());
  calls.erase(std::unique(calls.begin(), calls.end()), calls.end());
  return calls;
}

/// Takes rules away that call no remaining one first; what stays is in a circle.
void refuse_left_recursion(const Automaton& a) {
  const std::vector<bool> empty = reaching_the_end(a, [](const Automaton::Edge& e) { return e.bytes < 0; });
  std::vector<std::vector<RuleId>> calls;
  for (std::size_t r = 0; r < a.rules.size(); ++r) calls.push_back(first_calls(a, static_cast<RuleId>(r), empty));
  std::vector<int> open(a.rules.size());
  std::vector<std::vector<RuleId>> callers(a.rules.size());
  std::vector<RuleId> done;
  for (std::size_t r = 0; r < a.rules.size(); ++r) {
    open[r] = static_cast<int>(calls[r].size());
    for (const RuleId c : calls[r]) callers[static_cast<std::size_t>(c)].push_back(static_cast<RuleId>(r));
    if (open[r] == 0) done.push_back(static_cast<RuleId>(r));
  }
  for (std::size_t i = 0; i < done.size(); ++i)
    for (const RuleId caller : callers[static_cast<std::size_t>(done[i])])
      if (--open[static_cast<std::size_t>(caller)] == 0) done.push_back(caller);
  const auto left = std::find_if(open.begin(), open.end(), [](int n) { return n > 0; });
  if (left == open.end()) return;
  // Whoever is left calls somebody who is left: following that long enough ends in the circle.
  auto r = static_cast<std::size_t>(left - open.begin());
  for (std::size_t i = 0; i < a.rules.size(); ++i)
    r = static_cast<std::size_t>(*std::find_if(calls[r].begin(), calls[r].end(), [&](RuleId c) { return open[static_cast<std::size_t>(c)] > 0; }));
  fail(Kind::unsupported, "grammar: the rule {} can begin with itself (left recursion)", a.rules[r].name);
}

void number_classes(Automaton& a) {
  a.byte_class.fill(0);
  a.classes = 1;
  for (const ByteSet& set : a.sets) {
    std::map<std::pair<int, bool>, int> numbers;
    for (std::size_t b = 0; b < 256; ++b) {
      const auto number = static_cast<int>(numbers.size());
      const auto entry = numbers.emplace(std::pair(static_cast<int>(a.byte_class[b]), set[b]), number).first;
      a.byte_class[b] = static_cast<std::uint8_t>(entry->second);
    }
    a.classes = static_cast<int>(numbers.size());
  }
}

}  // namespace

void finish(Automaton& a) {
  refuse_left_recursion(a);
  const std::vector<bool> ends = reaching_the_end(a, [](const Automaton::Edge&) { return true; });
  check(ends[static_cast<std::size_t>(a.rules.front().start)], Kind::malformed, "grammar: no finite text matches the rule root");
  for (auto& edges : a.edges)
    std::erase_if(edges, [&](const Automaton::Edge& e) {
      const bool passable = e.rule < 0 || ends[static_cast<std::size_t>(a.rules[static_cast<std::size_t>(e.rule)].start)];
      return !passable || !ends[static_cast<std::size_t>(e.to)];
    });
  number_classes(a);
}

}  // namespace starling::core
