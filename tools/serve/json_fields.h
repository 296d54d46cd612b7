// Fields of a JSON object from a client: absent and null are the same, types and ranges are checked, and what is wrong
// is said with the field's path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tools/serve/api_error.h"

namespace starling::tools {

/// Keeps the order of keys: that of a schema's properties has a meaning.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  int depth = 64;
  std::size_t values = 1 << 20;  // a tree costs many times its text
};

/// ApiError unless `text` is a JSON object within the limits, which are checked before anything is built.
Json parse_object(std::string_view text, const JsonLimits& limits = {});

class JsonFields {
 public:
  /// `object` must outlive this. ApiError when it is no object. `path` is how messages call it, empty for the whole.
  JsonFields(const Json& object, std::string path);

  /// Null when absent or null.
  const Json* find(std::string_view name) const;
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t lowest, std::int64_t highest) const;
  std::optional<double> number(std::string_view name, double lowest, double highest) const;
  std::optional<bool> boolean(std::string_view name) const;
  std::optional<std::string> text(std::string_view name) const;
  std::string required_text(std::string_view name) const;
  const Json& required(std::string_view name) const;
  /// Null when absent; at most `most` elements.
  const Json* array(std::string_view name, std::size_t most) const;

  /// "messages[0].content"
  std::string path(std::string_view name) const;

 private:
  const Json& object_;
  std::string path_;
};

}  // namespace starling::tools
