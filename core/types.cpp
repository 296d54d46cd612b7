#include "core/types.h"

#include <array>
#include <string>

#include "core/error.h"

namespace starling::core {
namespace {

constexpr std::array<TypeInfo, 13> kTypes{{
    {Type::f32, "f32", 1, 4},
    {Type::f16, "f16", 1, 2},
    {Type::bf16, "bf16", 1, 2},
    {Type::q8_0, "q8_0", 32, 34},
    {Type::q4_0, "q4_0", 32, 18},
    {Type::q4_1, "q4_1", 32, 20},
    {Type::q5_0, "q5_0", 32, 22},
    {Type::q5_1, "q5_1", 32, 24},
    {Type::q2_k, "q2_k", 256, 84},
    {Type::q3_k, "q3_k", 256, 110},
    {Type::q4_k, "q4_k", 256, 144},
    {Type::q5_k, "q5_k", 256, 176},
    {Type::q6_k, "q6_k", 256, 210},
}};

constexpr std::array<TypeInfo, 10> kPackedTypes{{
    {Type::q8_0_x16, "q8_0_x16", 32, 34, 16},
    {Type::q4_0_x16, "q4_0_x16", 32, 18, 16},
    {Type::q4_k_x16, "q4_k_x16", 256, 148, 16},
    {Type::q6_k_x16, "q6_k_x16", 256, 210, 16},
    {Type::q4_1_x16, "q4_1_x16", 32, 20, 16},
    {Type::q5_0_x16, "q5_0_x16", 32, 22, 16},
    {Type::q5_1_x16, "q5_1_x16", 32, 24, 16},
    {Type::q2_k_x16, "q2_k_x16", 256, 84, 16},
    {Type::q3_k_x16, "q3_k_x16", 256, 114, 16},
    {Type::q5_k_x16, "q5_k_x16", 256, 180, 16},
}};

}  // namespace

const TypeInfo& info(Type type) {
  for (const TypeInfo& entry : kTypes)
    if (entry.type == type) return entry;
  for (const TypeInfo& entry : kPackedTypes)
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
