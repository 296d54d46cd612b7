// Writes the expressions of one schema into a JsonSchemaGrammar.
#pragma once

#include <map>
#include <string>

#include "core/text/grammar/json_schema.h"

namespace starling::core {

class SchemaWriter {
 public:
  SchemaWriter(JsonSchemaGrammar& out, const OrderedJson& root) : out_(out), root_(root) {}
  std::string run();

 private:
  /// An expression in parentheses or one name. `path`: where the schema stands, for messages.
  std::string value(const OrderedJson& schema, const std::string& path, int depth);
  std::string reference(const OrderedJson& schema, const std::string& path, int depth);
  std::string all_of(const OrderedJson& schema, const std::string& path, int depth);
  std::string choice(const OrderedJson& schema, const std::string& keyword, const std::string& path, int depth);
  std::string constants(const OrderedJson& schema, const std::string& path);
  std::string typed(const OrderedJson& schema, const std::string& type, const std::string& path, int depth);
  std::string object(const OrderedJson& schema, const std::string& path, int depth);
  std::string extra_member(const OrderedJson& properties, const OrderedJson& additional, const std::string& path, int depth);
  std::string key_but(const std::vector<std::string>& names, bool may_be_empty);
  std::string array(const OrderedJson& schema, const std::string& path, int depth);
  std::string string(const OrderedJson& schema, const std::string& path);
  std::string number(const OrderedJson& schema, bool integer, const std::string& path);

  /// The schema that `pointer` ("#/...") names.
  const OrderedJson& target(const std::string& pointer, const std::string& path) const;
  /// `schema` with its own reference followed and merged with what stands beside it.
  OrderedJson resolved(const OrderedJson& schema, const std::string& path) const;

  JsonSchemaGrammar& out_;
  const OrderedJson& root_;
  std::map<std::string, std::string> references_;             // pointer to rule
  std::vector<std::pair<std::string, std::string>> pending_;  // of those, the ones to be written yet
  int values_ = 0;
};

/// A bound of a length or count; Kind::malformed unless it is a whole number that is not negative.
std::int64_t schema_count(const OrderedJson& schema, const std::string& keyword, std::int64_t absent, const std::string& path);

}  // namespace starling::core
