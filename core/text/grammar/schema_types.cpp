// Objects, arrays, strings and numbers of a schema.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/text/grammar/schema_writer.h"
#include "core/text/utf8.h"

namespace starling::core {
namespace {

constexpr std::int64_t kNone = -1;
constexpr std::int64_t kCountMax = 10'000;  // repetitions of one part of a grammar

/// "part{least,most}" where most may be kNone.
std::string times(const std::string& part, std::int64_t least, std::int64_t most) {
  if (most == kNone) return least == 0 ? part + "*" : fmt::format("{}{{{},}}", part, least);
  return fmt::format("{}{{{},{}}}", part, least, most);
}

bool needs_escape(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

/// `value` * 10^decimals as an integer with the fewest decimals that are exact; false when there are too many.
bool decimal(double value, std::int64_t& scaled, int& decimals) {
  double unit = 1;
  for (decimals = 0; decimals <= 6; ++decimals, unit *= 10) {
    const double product = std::round(value * unit);
    if (std::abs(product) < 1e12 && product / unit == value) {
      scaled = static_cast<std::int64_t>(product);
      return true;
    }
  }
  return false;
}

struct Bound {
  std::int64_t scaled = 0;
  int decimals = 0;
  bool present = false, exclusive = false;
};

/// The tighter of an inclusive and an exclusive bound. `sign`: 1 for a lower one, -1 for an upper one.
Bound bound(const OrderedJson& schema, const char* inclusive, const char* exclusive, int sign, const std::string& path) {
  Bound result;
  double tightest = 0;
  for (const char* keyword : {inclusive, exclusive}) {
    const auto member = schema.find(keyword);
    if (member == schema.end()) continue;
    check(member->is_number(), Kind::unsupported, "JSON schema: {}: {} is not a number", path, keyword);
    const double value = member->get<double>();
    if (result.present && value * sign < tightest * sign) continue;
    tightest = value;
    result.present = true;
    result.exclusive = keyword == exclusive;
    check(decimal(value, result.scaled, result.decimals), Kind::unsupported,
          "JSON schema: {}: {} {} is not supported, at most 6 decimals and 12 digits are", path, keyword, value);
  }
  return result;
}

std::int64_t power(int decimals) {
  std::int64_t unit = 1;
  for (int i = 0; i < decimals; ++i) unit *= 10;
  return unit;
}

}  // namespace

std::int64_t schema_count(const OrderedJson& schema, const std::string& keyword, std::int64_t absent, const std::string& path) {
  const auto member = schema.find(keyword);
  if (member == schema.end()) return absent;
  check(member->is_number_integer() && member->get<double>() >= 0, Kind::malformed, "JSON schema: {}: {} is not a whole number of 0 or more", path, keyword);
  check(member->get<double>() <= kCountMax, Kind::unsupported, "JSON schema: {}: {} above {} is not supported", path, keyword, kCountMax);
  return member->get<std::int64_t>();
}

std::string SchemaWriter::object(const OrderedJson& schema, const std::string& path, int depth) {
  const OrderedJson properties = schema.value("properties", OrderedJson::object());
  const OrderedJson required = schema.value("required", OrderedJson::array());
  check(properties.is_object(), Kind::malformed, "JSON schema: {}: properties is not an object", path);
  check(required.is_array(), Kind::malformed, "JSON schema: {}: required is not a list", path);
  const bool open = properties.empty() && required.empty() && !schema.contains("additionalProperties");
  OrderedJson additional = schema.value("additionalProperties", OrderedJson(open));
  std::vector<std::string> names, members;
  std::vector<bool> needed;
  const auto add = [&](const std::string& name, const OrderedJson& member, bool is_required) {
    if (member == false && !is_required) return;
    names.push_back(name);
    members.push_back(fmt::format("{} \":\" \" \"? {}", grammar_literal(OrderedJson(name).dump()), value(member, path + "/properties/" + name, depth + 1)));
    needed.push_back(is_required);
  };
  for (const auto& [name, member] : properties.items()) add(name, member, std::find(required.begin(), required.end(), OrderedJson(name)) != required.end());
  for (const OrderedJson& name : required) {
    check(name.is_string(), Kind::malformed, "JSON schema: {}: required holds something else than names", path);
    if (properties.contains(name.get<std::string>())) continue;
    check(additional != false || !schema.contains("additionalProperties"), Kind::malformed, "JSON schema: {}: required property {} is forbidden by additionalProperties",
          path, name.dump());
    if (std::find(names.begin(), names.end(), name.get<std::string>()) == names.end()) add(name.get<std::string>(), additional == false ? OrderedJson(true) : additional, true);
  }
  const auto count = static_cast<std::int64_t>(names.size());
  const std::int64_t least = schema_count(schema, "minProperties", 0, path), most = schema_count(schema, "maxProperties", kNone, path);
  check(least <= std::count(needed.begin(), needed.end(), true), Kind::unsupported, "JSON schema: {}: minProperties above the number of required ones is not supported", path);
  if (most != kNone && most <= count) additional = false;
  check(most == kNone || most >= count, Kind::unsupported, "JSON schema: {}: maxProperties below the number of properties is not supported", path);
  const std::string ws = out_.basic("ws"), comma = "\",\" " + ws + " ";
  std::string extra, extras;
  if (additional != false) {
    extra = out_.new_rule(extra_member(properties, additional, path, depth));
    extras = " " + times("(" + comma + extra + ")", 0, most == kNone ? kNone : most - count);
  }
  // Before the first required property those that are left out take their comma along, behind it those that are there.
  const auto first = static_cast<std::size_t>(std::find(needed.begin(), needed.end(), true) - needed.begin());
  std::string body;
  if (first < names.size()) {
    for (std::size_t i = 0; i < first; ++i) body += fmt::format("({} {})? ", members[i], comma);
    body += members[first];
    for (std::size_t i = first + 1; i < names.size(); ++i) body += needed[i] ? fmt::format(" {}{}", comma, members[i]) : fmt::format(" ({}{})?", comma, members[i]);
    body += extras;
  } else {
    std::string tail = extra.empty() ? "" : out_.new_rule(extras);
    std::vector<std::string> starts;
    if (!extra.empty()) starts.push_back(extra + " " + times("(" + comma + extra + ")", 0, most == kNone ? kNone : most - count - 1));
    for (std::size_t i = names.size(); i-- > 0;) {
      const std::string member = out_.new_rule(members[i]);
      starts.push_back(member + " " + tail);
      tail = out_.new_rule(fmt::format("({}{})? {}", comma, member, tail));
    }
    std::reverse(starts.begin(), starts.end());
    if (!starts.empty()) body = fmt::format("({})", fmt::join(starts, " | "));
  }
  if (body.empty()) return "(\"{\" " + ws + " \"}\")";
  return out_.new_rule(first < names.size() ? fmt::format("\"{{\" {} {} {} \"}}\"", ws, body, ws) : fmt::format("\"{{\" {} ({} {})? \"}}\"", ws, body, ws));
}

/// Another property: its name is none of the known ones, and is written without escapes, which could spell a known one.
std::string SchemaWriter::extra_member(const OrderedJson& properties, const OrderedJson& additional, const std::string& path, int depth) {
  std::vector<std::string> names;
  for (const auto& [name, member] : properties.items())
    if (!needs_escape(name)) names.push_back(name);
  std::sort(names.begin(), names.end());
  const std::string key = names.empty() && properties.empty() ? out_.basic("string") : "\"\\\"\" " + key_but(names, true) + " \"\\\"\"";
  return key + " \":\" \" \"? " + value(additional, path + "/additionalProperties", depth + 1);
}

/// The characters of a key that is none of `names`, which are sorted. `may_be_empty`: the empty rest is no name.
std::string SchemaWriter::key_but(const std::vector<std::string>& names, bool may_be_empty) {
  std::vector<std::string> parts;
  std::vector<CodeRange> taken = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x7F}};
  for (std::size_t i = 0; i < names.size();) {
    if (names[i].empty()) {
      may_be_empty = false;
      ++i;
      continue;
    }
    const Utf8Character c = decode_utf8(names[i], 0);
    check(c.length > 0, Kind::malformed, "JSON schema: a property's name is not valid UTF-8");
    std::vector<std::string> rests;
    for (; i < names.size() && names[i].starts_with(names[i - rests.size()].substr(0, c.length)); ++i) rests.push_back(names[i].substr(c.length));
    taken.push_back({c.code_point, c.code_point});
    std::string character;
    append_utf8(character, c.code_point);
    parts.push_back(grammar_literal(character) + " " + key_but(rests, true));
  }
  const std::string plain = out_.basic("plain");
  parts.push_back(grammar_class(complement(normalised(taken))) + " " + plain + "*");
  if (may_be_empty) parts.emplace_back("\"\"");
  return fmt::format("({})", fmt::join(parts, " | "));
}

std::string SchemaWriter::array(const OrderedJson& schema, const std::string& path, int depth) {
  check(!schema.contains("uniqueItems") || schema["uniqueItems"] == false || schema_count(schema, "maxItems", kNone, path) == 1, Kind::unsupported,
        "JSON schema: {}: uniqueItems is not supported", path);
  // Before 2020-12 a list in `items` was what prefixItems is now, and additionalItems what items is.
  const bool older = schema.contains("items") && schema["items"].is_array();
  const OrderedJson prefix = older ? schema["items"] : schema.value("prefixItems", OrderedJson::array());
  check(prefix.is_array(), Kind::malformed, "JSON schema: {}: prefixItems is not a list", path);
  const OrderedJson rest = older ? schema.value("additionalItems", OrderedJson(false)) : schema.value("items", OrderedJson(prefix.empty()));
  const std::int64_t least = schema_count(schema, "minItems", 0, path), most = schema_count(schema, "maxItems", kNone, path);
  check(most == kNone || most >= least, Kind::malformed, "JSON schema: {}: minItems {} is above maxItems {}", path, least, most);
  const std::string ws = out_.basic("ws"), comma = " \",\" " + ws + " ";
  std::string body;
  std::int64_t count = 0;
  for (const OrderedJson& item : prefix) {
    if (most != kNone && count >= most) break;
    body += (body.empty() ? "" : comma) + value(item, fmt::format("{}/prefixItems/{}", path, count), depth + 1);
    ++count;
  }
  const bool more = rest != false && (most == kNone || most > count);
  check(more || least <= count, Kind::malformed, "JSON schema: {}: minItems {} is above the {} items that are allowed", path, least, count);
  if (!more && body.empty()) return "(\"[\" " + ws + " \"]\")";
  if (!more) return out_.new_rule(fmt::format("\"[\" {} {} {} \"]\"", ws, body, ws));
  const std::string item = value(rest, path + "/items", depth + 1);
  const std::int64_t at_least = std::max<std::int64_t>(0, least - count);
  if (count > 0) return out_.new_rule(fmt::format("\"[\" {} {} {} {} \"]\"", ws, body, times("(" + comma + item + ")", at_least, most == kNone ? kNone : most - count), ws));
  const std::string items = item + " " + times("(" + comma + item + ")", std::max<std::int64_t>(0, at_least - 1), most == kNone ? kNone : most - 1);
  return out_.new_rule(at_least > 0 ? fmt::format("\"[\" {} {} {} \"]\"", ws, items, ws) : fmt::format("\"[\" {} ({} {})? \"]\"", ws, items, ws));
}

std::string SchemaWriter::string(const OrderedJson& schema, const std::string& path) {
  const std::int64_t least = schema_count(schema, "minLength", 0, path), most = schema_count(schema, "maxLength", kNone, path);
  check(most == kNone || most >= least, Kind::malformed, "JSON schema: {}: minLength {} is above maxLength {}", path, least, most);
  const bool lengths = schema.contains("minLength") || schema.contains("maxLength"), pattern = schema.contains("pattern"), format = schema.contains("format");
  check(lengths + pattern + format <= 1, Kind::unsupported, "JSON schema: {}: pattern, format, and minLength or maxLength are not supported beside each other", path);
  const auto quoted = [](const std::string& inner) { return "(\"\\\"\" " + inner + " \"\\\"\")"; };
  if (pattern) {
    check(schema["pattern"].is_string(), Kind::malformed, "JSON schema: {}: pattern is not a string", path);
    return quoted(pattern_expression(schema["pattern"].get<std::string>(), path, out_.basic("char")));
  }
  if (format) {
    check(schema["format"].is_string(), Kind::malformed, "JSON schema: {}: format is not a string", path);
    const std::string expression = format_expression(schema["format"].get<std::string>());
    check(!expression.empty(), Kind::unsupported,
          "JSON schema: {}: format {} is not supported; known are date, time, date-time, duration, email, hostname, ipv4, ipv6, uuid and uri", path,
          schema["format"].dump());
    return quoted(expression);
  }
  if (!lengths) return out_.basic("string");
  return quoted(times(out_.basic("char"), least, most));
}

std::string SchemaWriter::number(const OrderedJson& schema, bool integer, const std::string& path) {
  check(!schema.contains("multipleOf") || (integer && schema["multipleOf"] == 1), Kind::unsupported, "JSON schema: {}: multipleOf is not supported", path);
  const Bound low = bound(schema, "minimum", "exclusiveMinimum", 1, path), high = bound(schema, "maximum", "exclusiveMaximum", -1, path);
  if (!low.present && !high.present) return out_.basic(integer ? "integer" : "number");
  // An exclusive bound of numbers moves inwards by a unit of three more decimals; integers have only whole steps.
  const auto places = [&](const Bound& b) { return b.decimals + (b.exclusive && !integer ? 3 : 0); };
  const int decimals = std::max(low.present ? places(low) : 0, high.present ? places(high) : 0);
  const std::int64_t unit = power(decimals), most_scaled = 100'000'000'000'000'000;
  const auto scaled = [&](const Bound& b) {
    const std::int64_t steps = power(decimals - b.decimals);
    check(std::abs(b.scaled) <= most_scaled / steps, Kind::unsupported, "JSON schema: {}: bounds of this size with {} decimals are not supported", path, decimals);
    return b.scaled * steps;
  };
  const std::int64_t limit = std::min<std::int64_t>(999'999'999'999, most_scaled / unit) * unit;
  std::int64_t least = low.present ? scaled(low) : -limit, most = high.present ? scaled(high) : limit;
  if (integer) {
    // Towards the inside: -unit / unit rounds towards zero.
    const auto floor = [&](std::int64_t v) { return v / unit - (v % unit < 0); };
    least = low.exclusive ? floor(least) + 1 : -floor(-least);
    most = high.exclusive ? -floor(-most) - 1 : floor(most);
  } else {
    least += low.exclusive;
    most -= high.exclusive;
  }
  check(least <= most, Kind::malformed, "JSON schema: {}: no {} lies between the bounds", path, integer ? "integer" : "number");
  return integer ? integer_expression(least, most) : number_expression(least, most, decimals);
}

}  // namespace starling::core
