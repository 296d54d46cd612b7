// Which kind of expression a schema becomes: references, combinations, constants, types.
#include <algorithm>
#include <array>
#include <set>

#include "core/error.h"
#include "core/text/grammar/schema_writer.h"

namespace starling::core {
namespace {

constexpr int kSchemaDepthMax = 48;
constexpr int kReferencesMax = 32;
constexpr int kValuesMax = 20'000;

const std::set<std::string> kUnderstood = {
    "type", "enum", "const", "nullable", "anyOf", "oneOf", "allOf", "$ref", "properties", "required", "additionalProperties", "minProperties",
    "maxProperties", "items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};

/// The type whose values a keyword restricts.
std::string type_meant(const OrderedJson& schema) {
  static constexpr std::pair<const char*, const char*> kMeant[] = {
      {"properties", "object"}, {"required", "object"}, {"additionalProperties", "object"}, {"minProperties", "object"}, {"maxProperties", "object"},
      {"items", "array"}, {"prefixItems", "array"}, {"minItems", "array"}, {"maxItems", "array"}, {"uniqueItems", "array"}, {"minLength", "string"},
      {"maxLength", "string"}, {"pattern", "string"}, {"format", "string"}, {"minimum", "number"}, {"maximum", "number"},
      {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"}, {"multipleOf", "number"}};
  for (const auto& [keyword, type] : kMeant)
    if (schema.contains(keyword)) return type;
  return {};
}

OrderedJson without(const OrderedJson& schema, std::string_view keyword) {
  OrderedJson rest = OrderedJson::object();
  for (const auto& [key, value] : schema.items())
    if (key != keyword && !is_annotation(key)) rest[key] = value;
  return rest;
}

std::string either(const std::vector<std::string>& parts) { return parts.size() == 1 ? parts.front() : fmt::format("({})", fmt::join(parts, " | ")); }

}  // namespace

std::string SchemaWriter::run() {
  std::string root = value(root_, "#", 0);
  while (!pending_.empty()) {
    const auto [pointer, name] = pending_.back();
    pending_.pop_back();
    out_.rule(name, value(target(pointer, "#"), pointer, 0));
  }
  return root;
}

std::string SchemaWriter::value(const OrderedJson& schema, const std::string& path, int depth) {
  // References that are merged with what stands beside them are written out, which could double at every step.
  check(++values_ <= kValuesMax, Kind::refused, "JSON schema: {}: more than {} schemas, references written out", path, kValuesMax);
  check(depth <= kSchemaDepthMax, Kind::refused, "JSON schema: {}: nested deeper than {}", path, kSchemaDepthMax);
  if (schema == true) return out_.basic("value");
  check(schema != false, Kind::malformed, "JSON schema: {}: false accepts no value", path);
  check(schema.is_object(), Kind::malformed, "JSON schema: {}: a schema is an object, true or false", path);
  for (const auto& [key, member] : schema.items())
    check(kUnderstood.contains(key) || is_annotation(key), Kind::unsupported, "JSON schema: {}: {} is not supported", path, key);
  if (schema.value("nullable", OrderedJson(false)) == true) return "(" + value(without(schema, "nullable"), path, depth + 1) + " | \"null\")";
  if (schema.contains("$ref")) return reference(schema, path, depth);
  if (schema.contains("allOf")) return all_of(schema, path, depth);
  for (const char* keyword : {"anyOf", "oneOf"})
    if (schema.contains(keyword)) return choice(schema, keyword, path, depth);
  if (schema.contains("const") || schema.contains("enum")) return constants(schema, path);
  std::vector<std::string> types;
  if (schema.contains("type")) {
    check(names_types(schema["type"]), Kind::malformed, "JSON schema: {}: type is neither a name nor a list of names", path);
    types = schema_types(schema);
  } else if (const std::string meant = type_meant(schema); !meant.empty()) {
    types = {meant};
  } else {
    return out_.basic("value");
  }
  std::vector<std::string> parts;
  for (const std::string& type : types) parts.push_back(typed(schema, type, path, depth));
  return either(parts);
}

const OrderedJson& SchemaWriter::target(const std::string& pointer, const std::string& path) const {
  check(pointer.starts_with("#"), Kind::unsupported, "JSON schema: {}: $ref {}: only references into the schema itself are supported", path, pointer);
  try {
    return root_.at(OrderedJson::json_pointer(pointer.substr(1)));
  } catch (const OrderedJson::exception&) {
    fail(Kind::malformed, "JSON schema: {}: $ref {} names nothing", path, pointer);
  }
}

OrderedJson SchemaWriter::resolved(const OrderedJson& schema, const std::string& path) const {
  OrderedJson result = schema;
  for (int i = 0; result.is_object() && result.contains("$ref"); ++i) {
    check(i < kReferencesMax, Kind::malformed, "JSON schema: {}: references in a circle", path);
    check(result["$ref"].is_string(), Kind::malformed, "JSON schema: {}: $ref is not a string", path);
    const OrderedJson beside = without(result, "$ref");
    const OrderedJson& named = target(result["$ref"].get<std::string>(), path);
    result = beside.empty() ? named : merge_schemas(named, beside, path);
  }
  return result;
}

std::string SchemaWriter::reference(const OrderedJson& schema, const std::string& path, int depth) {
  check(schema["$ref"].is_string(), Kind::malformed, "JSON schema: {}: $ref is not a string", path);
  if (!without(schema, "$ref").empty()) return value(resolved(schema, path), path, depth + 1);
  const std::string pointer = schema["$ref"].get<std::string>();
  target(pointer, path);
  const auto [entry, added] = references_.emplace(pointer, "");
  if (!added) return entry->second;
  entry->second = fmt::format("ref{}", out_.numbered_++);
  pending_.emplace_back(pointer, entry->second);
  return entry->second;
}

std::string SchemaWriter::all_of(const OrderedJson& schema, const std::string& path, int depth) {
  const OrderedJson& parts = schema["allOf"];
  check(parts.is_array() && !parts.empty(), Kind::malformed, "JSON schema: {}: allOf is not a list of schemas", path);
  OrderedJson merged = without(schema, "allOf");
  for (const OrderedJson& part : parts) merged = merge_schemas(merged, resolved(part, path + "/allOf"), path);
  return value(merged, path, depth + 1);
}

std::string SchemaWriter::choice(const OrderedJson& schema, const std::string& keyword, const std::string& path, int depth) {
  const OrderedJson& parts = schema[keyword];
  check(parts.is_array() && !parts.empty(), Kind::malformed, "JSON schema: {}: {} is not a list of schemas", path, keyword);
  const OrderedJson beside = without(schema, keyword);
  std::vector<OrderedJson> alternatives;
  for (const OrderedJson& part : parts) alternatives.push_back(resolved(part, path + "/" + keyword));
  if (keyword == "oneOf")
    for (std::size_t i = 0; i < alternatives.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        check(disjoint_schemas(alternatives[j], alternatives[i]), Kind::unsupported,
              "JSON schema: {}: oneOf: a value may match both the alternatives {} and {}, which cannot be excluded; anyOf accepts that", path, j, i);
  std::vector<std::string> expressions;
  for (std::size_t i = 0; i < alternatives.size(); ++i) {
    const std::string where = fmt::format("{}/{}/{}", path, keyword, i);
    if (alternatives[i] == false) continue;
    // A bare reference stays one, so that recursion through it ends.
    expressions.push_back(value(beside.empty() ? parts[i] : merge_schemas(beside, alternatives[i], where), where, depth + 1));
  }
  check(!expressions.empty(), Kind::malformed, "JSON schema: {}: no alternative of {} accepts a value", path, keyword);
  return either(expressions);
}

std::string SchemaWriter::constants(const OrderedJson& schema, const std::string& path) {
  for (const auto& [key, member] : schema.items())
    check(key == "const" || key == "enum" || key == "type" || is_annotation(key) || schema.contains("type"), Kind::unsupported,
          "JSON schema: {}: {} beside constants is not supported", path, key);
  check(!schema.contains("const") || !schema.contains("enum"), Kind::unsupported, "JSON schema: {}: const beside enum is not supported", path);
  const OrderedJson values = schema.contains("const") ? OrderedJson::array({schema["const"]}) : schema["enum"];
  check(values.is_array() && !values.empty(), Kind::malformed, "JSON schema: {}: enum is not a list of values", path);
  const std::vector<std::string> types = schema_types(schema);
  std::vector<std::string> parts;
  for (const OrderedJson& v : values) {
    const bool whole = v.is_number_integer();
    const std::string type = v.is_number() ? "number" : v.type_name();
    const auto fits = [&](const std::string& t) { return t == type || (t == "integer" && whole); };
    if (std::any_of(types.begin(), types.end(), fits)) parts.push_back(grammar_literal(v.dump()));
  }
  check(!parts.empty(), Kind::malformed, "JSON schema: {}: no constant has the type", path);
  return either(parts);
}

std::string SchemaWriter::typed(const OrderedJson& schema, const std::string& type, const std::string& path, int depth) {
  if (type == "object") return object(schema, path, depth);
  if (type == "array") return array(schema, path, depth);
  if (type == "string") return string(schema, path);
  if (type == "number" || type == "integer") return number(schema, type == "integer", path);
  if (type == "boolean") return "(\"true\" | \"false\")";
  if (type == "null") return "\"null\"";
  fail(Kind::malformed, "JSON schema: {}: type {} is unknown; known are object, array, string, number, integer, boolean and null", path, type);
}

}  // namespace starling::core
