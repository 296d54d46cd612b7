#include "core/crash_point.h"

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>

namespace starling::core {
namespace {

struct Plan {
  Plan() {
    const char* set = std::getenv("STARLING_CRASH");
    const std::string_view text = set ? set : "";
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return;
    long long count = 0;
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), count);
    name = text.substr(0, colon);
    left = count;
  }
  std::string name;
  std::atomic<long long> left{0};
};

}  // namespace

void crash_point(std::string_view name) {
  static Plan plan;
  if (plan.name.empty() || plan.name != name) return;
  if (plan.left.fetch_sub(1) == 1) std::raise(SIGKILL);
}

}  // namespace starling::core
