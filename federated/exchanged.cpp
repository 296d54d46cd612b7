#include "federated/exchanged.h"

#include <algorithm>

#include "core/error.h"
#include "federated/strategy.h"

namespace starling::federated {

bool stays_home(const core::ParameterEntry& entry, const LocalWork& work) { return work.norms_stay_home && entry.part != core::Part::weight; }

Exchanged::Exchanged(const core::ParameterLayout& layout, const LocalWork& work) {
  for (const core::ParameterEntry& entry : layout.entries()) {
    if (stays_home(entry, work)) continue;
    const auto begin = static_cast<std::size_t>(entry.offset), size = static_cast<std::size_t>(entry.size);
    if (!runs_.empty() && runs_.back().begin + runs_.back().size == begin)
      runs_.back().size += size;
    else
      runs_.push_back({begin, size});
    values_ += size;
  }
}

std::vector<float> Exchanged::pick(std::span<const float> model) const {
  std::vector<float> values;
  values.reserve(values_);
  for (const Run& run : runs_) {
    const auto from = model.subspan(run.begin, run.size);
    values.insert(values.end(), from.begin(), from.end());
  }
  return values;
}

void Exchanged::put(std::span<const float> values, std::span<float> model) const {
  core::ensure(values.size() == values_, "another number of values than travel");
  for (const Run& run : runs_) {
    std::copy_n(values.begin(), run.size, model.subspan(run.begin, run.size).begin());
    values = values.subspan(run.size);
  }
}

}  // namespace starling::federated
