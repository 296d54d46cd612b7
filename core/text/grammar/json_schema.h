// JSON schemas as grammars: every text of the grammar is JSON that the schema accepts. Not the other way round: where
// a schema leaves the form open (the order of properties, extra ones that nobody asked for, numbers of a hundred digits)
// the grammar has a plain choice, the order of properties that of the schema.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/text/grammar/automaton.h"

namespace starling::core {

/// Keeps the order of members: read schemas with this type.
using OrderedJson = nlohmann::ordered_json;

/// The text of a grammar (core/text/grammar/grammar.h). Kind::unsupported for what cannot be expressed and
/// Kind::malformed for what is no schema, both naming the keyword and its path.
std::string json_schema_grammar(const OrderedJson& schema);
/// Any JSON object.
std::string json_object_grammar();

/// Puts a grammar together from several schemas and texts around them.
class JsonSchemaGrammar {
 public:
  /// Adds the rules of `schema`, whose references are resolved in itself; returns an expression that matches its values.
  std::string add(const OrderedJson& schema);
  /// All rules so far, with `root` as the body of the root rule.
  std::string text(const std::string& root) const;

 private:
  friend class SchemaWriter;
  /// Adds a rule once; returns its name.
  std::string rule(const std::string& name, const std::string& body);
  std::string new_rule(const std::string& body);
  std::string basic(std::string_view name);

  std::vector<std::pair<std::string, std::string>> rules_;
  std::size_t bytes_ = 0, numbered_ = 0;
};

/// `text` as a literal of a grammar.
std::string grammar_literal(std::string_view text);
/// A class of a grammar; `ranges` must not be empty.
std::string grammar_class(const std::vector<CodeRange>& ranges);

// The parts of json_schema.cpp, each in a file of its own.

/// Decimal numerals of the integers from `least` to `most`, without leading zeros.
std::string integer_expression(std::int64_t least, std::int64_t most);
/// Decimal numerals of the numbers from least / 10^decimals to most / 10^decimals.
std::string number_expression(std::int64_t least, std::int64_t most, int decimals);
/// What stands between the quotes of a string that `pattern` (ECMA 262) matches. `any`: any character of a string.
std::string pattern_expression(const std::string& pattern, const std::string& path, const std::string& any);
/// What stands between the quotes of a string of this format; empty for an unknown one.
std::string format_expression(std::string_view format);
/// A schema that accepts what both accept. Kind::unsupported where that is not written in one schema.
OrderedJson merge_schemas(const OrderedJson& a, const OrderedJson& b, const std::string& path);
/// Whether certainly no value is accepted by both; references must have been resolved.
bool disjoint_schemas(const OrderedJson& a, const OrderedJson& b);
/// Whether the value of "type" is a name or a list of names.
bool names_types(const OrderedJson& type);
/// The types that a schema names or its constants have; all of them where it says nothing. Kind::malformed unless names_types().
std::vector<std::string> schema_types(const OrderedJson& schema);
/// Says nothing about values: titles, comments, defaults.
bool is_annotation(std::string_view keyword);

}  // namespace starling::core
