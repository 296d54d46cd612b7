// Where a grammar may stand after some bytes: a set of stacks. Stacks share their lower parts, equal sets are one
// object, and a step once computed is kept: walking a vocabulary costs one look-up a byte.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/text/grammar/grammar.h"

namespace starling::core {

class StateSets {
 public:
  using SetId = std::int32_t;
  static constexpr SetId kDead = -1;

  explicit StateSets(std::shared_ptr<const Grammar> grammar);
  SetId start() const { return start_; }
  /// kDead when no stack reads `byte`. Kind::refused when the grammar is too ambiguous to follow.
  SetId next(SetId set, std::uint8_t byte);
  /// Some stack is empty: the text may end here.
  bool may_end(SetId set) const { return sets_[static_cast<std::size_t>(set)].may_end; }
  /// No stack reads another byte.
  bool must_end(SetId set) const { return sets_[static_cast<std::size_t>(set)].tops.empty(); }
  std::size_t size() const { return sets_.size(); }
  /// Forgets all sets but `keep`; returns its new id. Every other id becomes invalid.
  SetId forget_all_but(SetId keep);

 private:
  using StackId = std::uint32_t;  // 0: empty
  struct StackNode {
    StateId back;  // where the caller goes on
    StackId below;
  };
  struct Top {
    StateId state;
    StackId stack;
    friend auto operator<=>(const Top&, const Top&) = default;
  };
  struct Set {
    std::vector<Top> tops;  // sorted; each has an edge that reads a byte
    bool may_end = false;
    std::vector<SetId> steps;  // by byte class; kUnknown: not computed yet
  };
  StackId push(StateId back, StackId below);
  /// Follows what reads nothing from `work`, and makes a set of where bytes are read.
  SetId close(std::vector<Top> work);
  SetId intern(Set set);
  StackId copy_stack(StackId id, const std::vector<StackNode>& from);

  std::shared_ptr<const Grammar> grammar_;
  std::vector<bool> only_returns_, reads_;  // by state: it is final and nothing else; it has an edge that reads a byte
  std::vector<StackNode> stacks_;
  std::unordered_map<std::uint64_t, StackId> stack_ids_;
  std::vector<Set> sets_;
  std::unordered_multimap<std::uint64_t, SetId> set_ids_;  // by hash
  SetId start_ = 0;
};

}  // namespace starling::core
