#include "federated/strategy.h"

#include <array>

#include "core/error.h"

namespace starling::federated {

using Layout = std::shared_ptr<const core::ParameterLayout>;

#define STRATEGY(name, maker) std::unique_ptr<Strategy> maker(const StrategyOptions& options, const Layout& layout);
#include "federated/strategies/all.def"
#undef STRATEGY

namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Strategy> (*make)(const StrategyOptions&, const Layout&);
};

constexpr std::array kStrategies{
#define STRATEGY(name, maker) Entry{name, maker},
#include "federated/strategies/all.def"
#undef STRATEGY
};

}  // namespace

std::vector<std::string_view> strategy_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kStrategies) names.push_back(entry.name);
  return names;
}

std::unique_ptr<Strategy> make_strategy(const StrategyOptions& options, Layout layout) {
  for (const Entry& entry : kStrategies)
    if (entry.name == options.name) return entry.make(options, layout);
  core::fail(core::Kind::usage, "strategy '{}' is unknown; known: {}", options.name, fmt::join(strategy_names(), " "));
}

}  // namespace starling::federated
