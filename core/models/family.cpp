// The table of families.
#include "core/models/family.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace starling::core {

#define FAMILY(name) Family name##_family();
#include "core/models/families/all.def"
#undef FAMILY

std::span<const Family> families() {
  static const std::array kFamilies{
#define FAMILY(name) name##_family(),
#include "core/models/families/all.def"
#undef FAMILY
  };
  return kFamilies;
}

const Family& family_named(std::string_view name, const std::string& source) {
  std::string known;
  for (const Family& family : families()) {
    if (family.name == name) return family;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", family.name);
  }
  fail(Kind::unsupported, "{}: general.architecture: '{}' is not supported; known: {}", source, name, known);
}

const Family& family_of_class(std::string_view name, const std::string& source) {
  std::string known;
  for (const Family& family : families()) {
    if (std::find(family.classes.begin(), family.classes.end(), name) != family.classes.end()) return family;
    for (const std::string_view known_class : family.classes) known += fmt::format("{}{}", known.empty() ? "" : ", ", known_class);
  }
  fail(Kind::unsupported, "{}: architectures: '{}' is not supported; known: {}", source, name, known);
}

std::vector<std::int64_t> windows_of(const Family& family, std::int64_t layers, std::int64_t size) {
  if (size <= 0) return {};
  std::vector<std::int64_t> windows;
  for (std::int64_t layer = 0; layer < layers; ++layer) windows.push_back(!family.windowed || family.windowed(layer) ? size : 0);
  return windows;
}

}  // namespace starling::core
