#include "core/train/parameters.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/random.h"

namespace starling::core {

std::size_t ParameterLayout::add(std::string name, Shape shape, Initial initial, Part part) {
  ensure(!find(name), "two parameters of one name");
  const std::int64_t size = element_count(shape);
  entries_.push_back({std::move(name), std::move(shape), part, initial, size_, size});
  size_ += size;
  return entries_.size() - 1;
}

std::optional<std::size_t> ParameterLayout::find(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const ParameterEntry& e) { return e.name == name; });
  if (found == entries_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - entries_.begin());
}

Parameters::Parameters(std::shared_ptr<const ParameterLayout> l)
    : layout(std::move(l)), values(static_cast<std::size_t>(layout->size())), gradients(values.size()) {}

std::span<const float> Parameters::value(std::size_t index) const {
  const ParameterEntry& entry = layout->entry(index);
  return std::span(values).subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size));
}

std::span<float> Parameters::slice(std::vector<float>& all, std::size_t index) const {
  const ParameterEntry& entry = layout->entry(index);
  return std::span(all).subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size));
}

void Parameters::clear_gradients() { std::fill(gradients.begin(), gradients.end(), 0.0f); }

namespace {

/// Two numbers in (0, 1) for every pair of places of an entry.
struct Pair {
  double first, second;
};

Pair numbers(std::uint64_t seed, std::size_t entry, std::size_t pair) {
  const auto bits = random_bits(seed, Purpose::initial_values, {0, entry, 0}, pair / 2);
  const std::size_t half = pair % 2 * 2;
  return {to_unit_interval(bits[half]), to_unit_interval(bits[half + 1])};
}

}  // namespace

void initialise(Parameters& parameters, std::uint64_t seed) {
  for (std::size_t index = 0; index < parameters.layout->entries().size(); ++index) {
    const ParameterEntry& entry = parameters.layout->entry(index);
    const Initial& how = entry.initial;
    const std::span<float> values = parameters.value(index);
    const std::int64_t outputs = entry.shape.empty() ? 1 : entry.shape.front();
    const double fan_in = static_cast<double>(how.fan_in > 0 ? how.fan_in : entry.size / std::max<std::int64_t>(1, outputs));
    const double receptive = entry.shape.size() > 2 ? fan_in / static_cast<double>(entry.shape[1]) : 1.0;
    double limit = how.value;
    if (how.kind == Initial::Kind::fan_in) limit = 1 / std::sqrt(fan_in);
    if (how.kind == Initial::Kind::xavier) limit = std::sqrt(6 / (fan_in + receptive * static_cast<double>(outputs)));
    if (how.kind == Initial::Kind::he) limit = std::sqrt(2 / fan_in);
    const bool normal = how.kind == Initial::Kind::normal || how.kind == Initial::Kind::he;
    for (std::size_t i = 0; i < values.size(); i += 2) {
      double one = how.value, other = how.value;
      if (how.kind != Initial::Kind::constant) {
        const Pair u = numbers(seed, index, i / 2);
        const double radius = std::sqrt(-2 * std::log(1 - u.first)), angle = 2 * std::numbers::pi * u.second;
        one = limit * (normal ? radius * std::cos(angle) : 2 * u.first - 1);
        other = limit * (normal ? radius * std::sin(angle) : 2 * u.second - 1);
      }
      values[i] = static_cast<float>(one);
      if (i + 1 < values.size()) values[i + 1] = static_cast<float>(other);
    }
  }
}

}  // namespace starling::core
