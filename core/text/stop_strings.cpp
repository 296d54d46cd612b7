#include "core/text/stop_strings.h"

#include <algorithm>

#include "core/error.h"

namespace starling::core {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) check(!stop.empty(), Kind::usage, "an empty stop string");
}

std::string StopStrings::push(std::string_view bytes) {
  if (stopped()) return {};
  held_ += bytes;
  // The one that ends first would have stopped a stream of single bytes; of those the longest.
  std::size_t first_end = std::string::npos, begin = 0;
  for (std::size_t i = 0; i < stops_.size(); ++i) {
    const std::size_t at = held_.find(stops_[i]);
    if (at == std::string::npos) continue;
    const std::size_t end = at + stops_[i].size();
    if (first_end != std::string::npos && (end > first_end || (end == first_end && at >= begin))) continue;
    first_end = end;
    begin = at;
    stopped_ = static_cast<int>(i);
  }
  if (stopped()) {
    std::string last = characters_.push(std::string_view(held_).substr(0, begin)) + characters_.finish();
    held_.clear();
    return last;
  }
  std::size_t keep = 0;
  for (const std::string& stop : stops_)
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n)
      if (held_.ends_with(std::string_view(stop).substr(0, n))) keep = n;
  std::string out = characters_.push(std::string_view(held_).substr(0, held_.size() - keep));
  held_.erase(0, held_.size() - keep);
  return out;
}

std::string StopStrings::finish() {
  if (stopped()) return {};
  std::string out = characters_.push(held_) + characters_.finish();
  held_.clear();
  return out;
}

}  // namespace starling::core
