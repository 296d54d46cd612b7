// Rules to automata: one entry and one end a rule, repetitions written out, loops with a state of their own.
#include <algorithm>
#include <unordered_map>

#include "core/error.h"
#include "core/text/grammar/syntax.h"

namespace starling::core {
namespace {

constexpr std::size_t kStatesMax = std::size_t{1} << 18;

class Compiler {
 public:
  Automaton run(const std::vector<GrammarRule>& rules) {
    const auto root = std::find_if(rules.begin(), rules.end(), [](const GrammarRule& r) { return r.name == "root"; });
    check(root != rules.end(), Kind::malformed, "grammar: no rule is called root");
    add_rule("root");
    for (const GrammarRule& rule : rules)
      if (&rule != &*root) check(add_rule(rule.name), Kind::malformed, "grammar: the rule {} is there twice", rule.name);
    for (const GrammarRule& rule : rules) {
      const RuleId id = names_.at(rule.name);
      join(node(rule.body, out_.rules[static_cast<std::size_t>(id)].start), out_.rules[static_cast<std::size_t>(id)].end);
    }
    return std::move(out_);
  }

 private:
  using What = GrammarNode::What;

  StateId state() {
    check(out_.edges.size() < kStatesMax, Kind::refused, "grammar: more than {} states", kStatesMax);
    out_.edges.emplace_back();
    out_.final.push_back(false);
    return static_cast<StateId>(out_.edges.size() - 1);
  }

  bool add_rule(const std::string& name) {
    if (!names_.emplace(name, static_cast<RuleId>(out_.rules.size())).second) return false;
    const StateId start = state(), end = state();
    out_.rules.push_back({name, start, end});
    out_.final[static_cast<std::size_t>(end)] = true;
    return true;
  }

  void edge(StateId from, Automaton::Edge edge) { out_.edges[static_cast<std::size_t>(from)].push_back(edge); }
  void join(StateId from, StateId to) { edge(from, {.to = to}); }

  StateId bytes(StateId from, const ByteSet& set) {
    const auto [found, added] = sets_.emplace(set.to_string(), static_cast<std::int32_t>(out_.sets.size()));
    if (added) out_.sets.push_back(set);
    const StateId to = state();
    edge(from, {.bytes = found->second, .to = to});
    return to;
  }

  static ByteSet set_of(ByteRange range) {
    ByteSet set;
    for (int b = range.first; b <= range.second; ++b) set.set(static_cast<std::size_t>(b));
    return set;
  }

  /// Adds what `node` matches behind `from`; returns where it ends.
  StateId node(const GrammarNode& n, StateId from) {
    switch (n.what) {
      case What::literal:
        for (const char c : n.text) from = bytes(from, set_of({static_cast<unsigned char>(c), static_cast<unsigned char>(c)}));
        return from;
      case What::characters: return characters(n.ranges, from);
      case What::reference: {
        const auto found = names_.find(n.text);
        check(found != names_.end(), Kind::malformed, "grammar: line {}: no rule is called {}", n.line, n.text);
        return call(from, found->second);
      }
      case What::sequence:
        for (const GrammarNode& part : n.parts) from = node(part, from);
        return from;
      case What::alternatives: {
        const StateId end = state();
        for (const GrammarNode& part : n.parts) join(node(part, from), end);
        return end;
      }
      case What::repeat: return repeat(n, from);
    }
    fail(Kind::internal, "grammar: node {}", static_cast<int>(n.what));
  }

  StateId call(StateId from, RuleId rule) {
    const StateId to = state();
    edge(from, {.rule = rule, .to = to});
    return to;
  }

  StateId repeat(const GrammarNode& n, StateId from) {
    const GrammarNode& part = n.parts.front();
    for (int i = 0; i < n.least; ++i) from = node(part, from);
    if (n.most < 0) {
      const StateId loop = state();
      join(from, loop);
      join(node(part, loop), loop);
      return loop;
    }
    const StateId end = state();
    for (int i = n.least; i < n.most; ++i) {
      join(from, end);
      from = node(part, from);
    }
    join(from, end);
    return end;
  }

  StateId characters(const std::vector<CodeRange>& ranges, StateId from) {
    if (ranges.back().last < 0x80) {
      ByteSet set;
      for (const CodeRange& r : ranges) set |= set_of({static_cast<unsigned char>(r.first), static_cast<unsigned char>(r.last)});
      return bytes(from, set);
    }
    std::string key = "[";
    for (const CodeRange& r : ranges) key += fmt::format("{:x}-{:x} ", static_cast<std::uint32_t>(r.first), static_cast<std::uint32_t>(r.last));
    if (add_rule(key)) character_rule(names_.at(key), ranges);
    return call(from, names_.at(key));
  }

  /// Sequences with the same rest share it; those of one byte are one set.
  void character_rule(RuleId id, const std::vector<CodeRange>& ranges) {
    const Automaton::Rule rule = out_.rules[static_cast<std::size_t>(id)];
    std::map<std::vector<ByteRange>, ByteSet> first;  // by what follows
    for (const std::vector<ByteRange>& sequence : utf8_sequences(ranges))
      first[{sequence.begin() + 1, sequence.end()}] |= set_of(sequence.front());
    for (const auto& [rest, set] : first) {
      StateId at = bytes(rule.start, set);
      for (const ByteRange& range : rest) at = bytes(at, set_of(range));
      join(at, rule.end);
    }
  }

  Automaton out_;
  std::unordered_map<std::string, RuleId> names_;
  std::unordered_map<std::string, std::int32_t> sets_;
};

}  // namespace

Automaton compile(const std::vector<GrammarRule>& rules) {
  Automaton automaton = Compiler().run(rules);
  finish(automaton);
  return automaton;
}

}  // namespace starling::core
