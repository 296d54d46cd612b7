#include "core/types.h"

#include <array>
#include <string>

#include "core/error.h"

namespace starling::core {
namespace {

constexpr std::array<TypeInfo, 5> kTypes{{
    {Type::f32, "f32", 1, 4},
    {Type::f16, "f16", 1, 2},
    {Type::bf16, "bf16", 1, 2},
    {Type::q8_0, "q8_0", 32, 34},
    {Type::q4_0, "q4_0", 32, 18},
}};

}  // namespace

const TypeInfo& info(Type type) {
  for (const TypeInfo& entry : kTypes)
    if (entry.type == type) return entry;
  fail(Kind::internal, "no such element type: {}", static_cast<std::uint32_t>(type));
}

std::optional<Type> type_from_id(std::uint32_t id) {
  for (const TypeInfo& entry : kTypes)
    if (static_cast<std::uint32_t>(entry.type) == id) return entry.type;
  return std::nullopt;
}

Type type_from_name(std::string_view name) {
  std::string known;
  for (const TypeInfo& entry : kTypes) {
    if (entry.name == name) return entry.type;
    known += fmt::format("{}{}", known.empty() ? "" : " ", entry.name);
  }
  fail(Kind::usage, "unknown element type '{}'; known: {}", name, known);
}

}  // namespace starling::core
