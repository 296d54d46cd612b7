// Says whether a JSON value is accepted by a schema, keyword by keyword as the specification has it: no grammar, no
// rewriting. Lengths in code points, patterns by std::regex.
#pragma once

#include <algorithm>
#include <regex>
#include <string>

#include <nlohmann/json.hpp>

namespace starling::tests {

class JsonSchemaChecker {
 public:
  using Json = nlohmann::json;
  explicit JsonSchemaChecker(const Json& root) : root_(root) {}
  bool accepts(const Json& value) const { return accepts(root_, value); }

 private:
  bool accepts(const Json& schema, const Json& value) const {
    if (schema.is_boolean()) return schema.get<bool>();
    if (schema.contains("$ref") && !accepts(root_.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1))), value)) return false;
    if (schema.value("nullable", false) && value.is_null()) return true;
    if (schema.contains("type") && !has_type(schema["type"], value)) return false;
    if (schema.contains("const") && schema["const"] != value) return false;
    if (schema.contains("enum") && std::count(schema["enum"].begin(), schema["enum"].end(), value) == 0) return false;
    if (schema.contains("anyOf") && matching(schema["anyOf"], value) == 0) return false;
    if (schema.contains("oneOf") && matching(schema["oneOf"], value) != 1) return false;
    if (schema.contains("allOf") && matching(schema["allOf"], value) != schema["allOf"].size()) return false;
    if (value.is_object()) return object(schema, value);
    if (value.is_array()) return array(schema, value);
    if (value.is_string()) return string(schema, value.get<std::string>());
    if (value.is_number()) return number(schema, value.get<double>());
    return true;
  }

  std::size_t matching(const Json& schemas, const Json& value) const {
    return static_cast<std::size_t>(std::count_if(schemas.begin(), schemas.end(), [&](const Json& s) { return accepts(s, value); }));
  }

  static bool has_type(const Json& type, const Json& value) {
    if (type.is_array()) return std::any_of(type.begin(), type.end(), [&](const Json& t) { return has_type(t, value); });
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    return type == value.type_name();
  }

  bool object(const Json& schema, const Json& value) const {
    const Json properties = schema.value("properties", Json::object());
    for (const Json& name : schema.value("required", Json::array()))
      if (!value.contains(name.get<std::string>())) return false;
    for (const auto& [name, member] : value.items()) {
      if (properties.contains(name)) {
        if (!accepts(properties[name], member)) return false;
      } else if (schema.contains("additionalProperties") && !accepts(schema["additionalProperties"], member)) {
        return false;
      }
    }
    return within(schema, "minProperties", "maxProperties", static_cast<double>(value.size()));
  }

  bool array(const Json& schema, const Json& value) const {
    const Json prefix = schema.value("prefixItems", Json::array());
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i < prefix.size() ? !accepts(prefix[i], value[i]) : schema.contains("items") && !accepts(schema["items"], value[i])) return false;
    }
    return within(schema, "minItems", "maxItems", static_cast<double>(value.size()));
  }

  static bool string(const Json& schema, const std::string& text) {
    const auto points = std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
    if (!within(schema, "minLength", "maxLength", static_cast<double>(points))) return false;
    if (schema.contains("pattern") && !std::regex_search(text, std::regex(schema["pattern"].get<std::string>()))) return false;
    return !schema.contains("format") || has_format(schema["format"].get<std::string>(), text);
  }

  static bool has_format(const std::string& format, const std::string& text) {
    const auto is = [&](const char* expression) { return std::regex_match(text, std::regex(expression)); };
    const std::string date = R"((\d{4})-(\d\d)-(\d\d))";
    if (format == "date") return is(date.c_str()) && is_day(text);
    if (format == "time") return is(R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))");
    if (format == "date-time") return text.size() > 11 && text[10] == 'T' && has_format("date", text.substr(0, 10)) && has_format("time", text.substr(11));
    if (format == "uuid") return is("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");
    if (format == "ipv4") return is(R"(((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.|$)){4})") && text.back() != '.';
    if (format == "ipv6") return is("([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}");
    if (format == "email") return is(R"([^@\s]+@[a-z0-9-]+(\.[a-z0-9-]+)+)");
    if (format == "hostname") return text.size() < 254 && is(R"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*)");
    if (format == "duration") return is(R"(P(\d+W|(?=.)(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?))");
    if (format == "uri") return is(R"(https?://[^\s/]+(/\S*)?)");
    return false;
  }

  static bool is_day(const std::string& date) {
    static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int month = std::stoi(date.substr(5, 2)), day = std::stoi(date.substr(8, 2));
    return month >= 1 && month <= 12 && day >= 1 && day <= kDays[month - 1];
  }

  static bool number(const Json& schema, double value) {
    if (schema.contains("exclusiveMinimum") && !(value > schema["exclusiveMinimum"].get<double>())) return false;
    if (schema.contains("exclusiveMaximum") && !(value < schema["exclusiveMaximum"].get<double>())) return false;
    return within(schema, "minimum", "maximum", value);
  }

  static bool within(const Json& schema, const char* least, const char* most, double value) {
    return !(schema.contains(least) && value < schema[least].get<double>()) && !(schema.contains(most) && value > schema[most].get<double>());
  }

  const Json& root_;
};

}  // namespace starling::tests
