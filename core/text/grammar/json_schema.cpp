// One expression per schema: references become rules, so recursive schemas are recursive rules; alternatives of types
// become alternatives of expressions.
#include "core/text/grammar/json_schema.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/text/grammar/schema_writer.h"
#include "core/text/utf8.h"

namespace starling::core {
namespace {

constexpr std::size_t kSchemaBytesMax = std::size_t{1} << 20;

struct BasicRule {
  std::string_view name, body, uses;  // `uses`: names separated by spaces
};

/// White space may stand where it usually does: behind brackets and commas, one space behind a colon.
constexpr std::array<BasicRule, 10> kBasics = {{
    {"ws", R"("" | " " | "\n" " "{0,20})", ""},
    {"char", R"([^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CeEfF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2})))", ""},
    {"plain", R"([^"\\\x00-\x1F\x7F])", ""},
    {"string", R"("\"" char* "\"")", "char"},
    {"integer", R"("-"? ("0" | [1-9] [0-9]{0,14}))", ""},
    {"number", R"("-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [+-]? [0-9] [0-9]?)?)", ""},
    {"member", R"(string ":" " "? value)", "string value"},
    {"object", R"("{" ws (member ("," ws member)* ws)? "}")", "ws member"},
    {"array", R"("[" ws (value ("," ws value)* ws)? "]")", "ws value"},
    {"value", R"(object | array | string | number | "true" | "false" | "null")", "object array string number"},
}};

}  // namespace

std::string grammar_literal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\x{:02X}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + "\"";
}

std::string grammar_class(const std::vector<CodeRange>& ranges) {
  std::string out = "[";
  const auto put = [&](char32_t c) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    out += plain ? std::string(1, static_cast<char>(c)) : fmt::format("\\U{:08X}", static_cast<std::uint32_t>(c));
  };
  for (const CodeRange& r : ranges) {
    put(r.first);
    if (r.last == r.first) continue;
    out += '-';
    put(r.last);
  }
  return out + "]";
}

std::string JsonSchemaGrammar::rule(const std::string& name, const std::string& body) {
  bytes_ += name.size() + body.size() + 8;
  check(bytes_ <= kSchemaBytesMax, Kind::refused, "JSON schema: its grammar is longer than {} bytes", kSchemaBytesMax);
  rules_.emplace_back(name, body);
  return name;
}

std::string JsonSchemaGrammar::new_rule(const std::string& body) { return rule(fmt::format("r{}", numbered_++), body); }

std::string JsonSchemaGrammar::basic(std::string_view name) {
  const auto known = [&](const auto& r) { return r.first == name; };
  if (std::any_of(rules_.begin(), rules_.end(), known)) return std::string(name);
  const auto found = std::find_if(kBasics.begin(), kBasics.end(), [&](const BasicRule& r) { return r.name == name; });
  ensure(found != kBasics.end(), "JSON schema: a basic rule that is not there");
  rule(std::string(name), std::string(found->body));
  for (std::string_view rest = found->uses; !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    basic(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::string(name);
}

std::string JsonSchemaGrammar::add(const OrderedJson& schema) { return SchemaWriter(*this, schema).run(); }

std::string JsonSchemaGrammar::text(const std::string& root) const {
  std::string out = "root ::= " + root + "\n";
  for (const auto& [name, body] : rules_) out += name + " ::= " + body + "\n";
  return out;
}

std::string json_schema_grammar(const OrderedJson& schema) {
  JsonSchemaGrammar grammar;
  const std::string root = grammar.add(schema);
  return grammar.text(root);
}

std::string json_object_grammar() { return json_schema_grammar({{"type", "object"}}); }

}  // namespace starling::core
