// allOf, and what stands beside anyOf and oneOf: two schemas as one. And whether two schemas exclude each other, without
// which a oneOf could be met twice.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/text/grammar/json_schema.h"

namespace starling::core {
namespace {

const std::vector<std::string> kAllTypes = {"object", "array", "string", "number", "integer", "boolean", "null"};

std::string type_of(const OrderedJson& value) {
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) return "number";
  return value.type_name();
}

bool types_meet(const std::string& a, const std::string& b) {
  return a == b || (a == "integer" && b == "number") || (a == "number" && b == "integer");
}

/// The values that `schema` lists, or nullptr.
OrderedJson constants(const OrderedJson& schema) {
  if (schema.contains("const")) return OrderedJson::array({schema["const"]});
  if (schema.contains("enum") && schema["enum"].is_array()) return schema["enum"];
  return nullptr;
}

bool requires_property(const OrderedJson& schema, const std::string& name) {
  if (!schema.contains("required") || !schema["required"].is_array()) return false;
  return std::find(schema["required"].begin(), schema["required"].end(), OrderedJson(name)) != schema["required"].end();
}

const OrderedJson* property(const OrderedJson& schema, const std::string& name) {
  const auto all = schema.find("properties");
  if (all == schema.end() || !all->is_object()) return nullptr;
  const auto found = all->find(name);
  return found == all->end() ? nullptr : &*found;
}

/// Objects are equal whatever the order of their members.
bool equal_values(const OrderedJson& a, const OrderedJson& b) { return nlohmann::json::parse(a.dump()) == nlohmann::json::parse(b.dump()); }

bool is_closed(const OrderedJson& schema) { return schema.contains("additionalProperties") && schema["additionalProperties"] == false; }

bool only_objects(const OrderedJson& schema) { return schema_types(schema) == std::vector<std::string>{"object"}; }

/// `a` demands a property that `b` forbids, or both demand one with no common value.
bool objects_disjoint(const OrderedJson& a, const OrderedJson& b) {
  if (!a.contains("required") || !a["required"].is_array()) return false;
  for (const OrderedJson& entry : a["required"]) {
    if (!entry.is_string()) continue;
    const std::string name = entry.get<std::string>();
    const OrderedJson *mine = property(a, name), *other = property(b, name);
    if (!other && is_closed(b)) return true;
    if (mine && other && requires_property(b, name) && disjoint_schemas(*mine, *other)) return true;
  }
  return false;
}

OrderedJson merge_types(const OrderedJson& a, const OrderedJson& b, const std::string& path) {
  OrderedJson types = OrderedJson::array();
  for (const std::string& x : schema_types({{"type", a}}))
    for (const std::string& y : schema_types({{"type", b}}))
      if (types_meet(x, y)) types.push_back(x == "integer" ? x : y);
  check(!types.empty(), Kind::malformed, "JSON schema: {}: no type is left of {} and {}", path, a.dump(), b.dump());
  return types.size() == 1 ? types.front() : types;
}

OrderedJson merge_member(const std::string& key, const OrderedJson& a, const OrderedJson& b, const std::string& path) {
  static constexpr std::array kLower = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"};
  static constexpr std::array kUpper = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"};
  if (a == b || is_annotation(key)) return a;
  const auto is_one_of = [&](const auto& list) { return std::find(list.begin(), list.end(), key) != list.end() && a.is_number() && b.is_number(); };
  if (is_one_of(kLower)) return a.get<double>() > b.get<double>() ? a : b;
  if (is_one_of(kUpper)) return a.get<double>() < b.get<double>() ? a : b;
  if (key == "type") return merge_types(a, b, path);
  if (key == "properties" && a.is_object() && b.is_object()) {
    OrderedJson all = a;
    for (const auto& [name, schema] : b.items()) all[name] = all.contains(name) ? merge_schemas(all[name], schema, path + "/properties/" + name) : schema;
    return all;
  }
  if (key == "items" || key == "additionalProperties") return merge_schemas(a, b, path + "/" + key);
  if ((key == "required" || key == "enum") && a.is_array() && b.is_array()) {
    OrderedJson all = key == "required" ? a : OrderedJson::array();
    for (const OrderedJson& entry : b)
      if ((std::find(a.begin(), a.end(), entry) == a.end()) == (key == "required")) all.push_back(entry);
    check(!all.empty(), Kind::malformed, "JSON schema: {}: no value of enum is left", path);
    return all;
  }
  fail(Kind::unsupported, "JSON schema: {}: two schemas that both say {} cannot be made one", path, key);
}

/// Properties that only the other one has would be refused by `closed`.
void check_closed(const OrderedJson& closed, const OrderedJson& other, const std::string& path) {
  const auto additional = closed.find("additionalProperties");
  if (additional == closed.end() || *additional == true || !other.contains("properties")) return;
  for (const auto& [name, schema] : other["properties"].items())
    check(property(closed, name) != nullptr, Kind::unsupported,
          "JSON schema: {}: additionalProperties forbids the property {} of the schema beside it", path, name);
}

}  // namespace

bool names_types(const OrderedJson& type) {
  return type.is_string() || (type.is_array() && !type.empty() && std::all_of(type.begin(), type.end(), [](const OrderedJson& entry) { return entry.is_string(); }));
}

std::vector<std::string> schema_types(const OrderedJson& schema) {
  if (!schema.is_object()) return kAllTypes;
  if (const auto type = schema.find("type"); type != schema.end()) {
    if (type->is_string()) return {type->get<std::string>()};
    check(names_types(*type), Kind::malformed, "JSON schema: type {} is neither a name nor a list of names", type->dump());
    return type->get<std::vector<std::string>>();
  }
  const OrderedJson values = constants(schema);
  if (values.is_null()) return kAllTypes;
  std::vector<std::string> types;
  for (const OrderedJson& value : values) types.push_back(type_of(value));
  return types;
}

bool is_annotation(std::string_view keyword) {
  static constexpr std::array kNames = {"title",    "description", "default",    "examples",         "example",         "$schema",      "$id",
                                        "id",       "$comment",    "$anchor",    "readOnly",         "writeOnly",       "deprecated",   "$defs",
                                        "definitions", "strict",   "discriminator", "contentMediaType", "contentEncoding"};
  return keyword.starts_with("x-") || std::find(kNames.begin(), kNames.end(), keyword) != kNames.end();
}

OrderedJson merge_schemas(const OrderedJson& a, const OrderedJson& b, const std::string& path) {
  if (a == true || b == false) return b;
  if (b == true || a == false) return a;
  check(a.is_object() && b.is_object(), Kind::malformed, "JSON schema: {}: a schema is an object, true or false", path);
  check_closed(a, b, path);
  check_closed(b, a, path);
  OrderedJson merged = a;
  for (const auto& [key, value] : b.items()) merged[key] = merged.contains(key) ? merge_member(key, merged[key], value, path) : value;
  return merged;
}

bool disjoint_schemas(const OrderedJson& a, const OrderedJson& b) {
  if (a == false || b == false) return true;
  if (!a.is_object() || !b.is_object()) return false;
  bool meet = false;
  for (const std::string& x : schema_types(a))
    for (const std::string& y : schema_types(b)) meet = meet || types_meet(x, y);
  if (!meet) return true;
  const OrderedJson mine = constants(a), other = constants(b);
  if (!mine.is_null() && !other.is_null())
    return std::none_of(mine.begin(), mine.end(), [&](const OrderedJson& v) {
      return std::any_of(other.begin(), other.end(), [&](const OrderedJson& w) { return equal_values(v, w); });
    });
  return only_objects(a) && only_objects(b) && (objects_disjoint(a, b) || objects_disjoint(b, a));
}

}  // namespace starling::core
