// JSON from outside: bounded in size and depth, no key twice, and typed access with errors that name the file and
// the field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/bytes.h"

namespace starling::core {

struct JsonLimits {
  std::uint64_t bytes_max = std::uint64_t{16} << 20;
  int depth_max = 32;
};

/// Kind::malformed naming `source` when the text is no JSON object, too long, too deep, or has a key twice in
/// one object.
nlohmann::json parse_json_object(Bytes text, const std::string& source, const JsonLimits& limits = {});

/// The members of one object. A null member counts as absent.
class JsonFields {
 public:
  /// Kind::malformed unless `value` is an object. `where`: the object's own name, for messages.
  JsonFields(const nlohmann::json& value, std::string source, std::string where = "");

  const nlohmann::json* find(std::string_view key) const;
  /// nullopt when absent; Kind::malformed when the member has another type.
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> real(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<JsonFields> object(std::string_view key) const;
  /// Empty when absent.
  const nlohmann::json& list(std::string_view key) const;
  /// Kind::malformed when absent.
  std::int64_t required_integer(std::string_view key) const;
  std::string required_text(std::string_view key) const;

  /// Kind::malformed "source: object.key what" unless `condition` holds.
  template <class... Args>
  void require(bool condition, std::string_view key, fmt::format_string<Args...> what, Args&&... args) const {
    if (!condition) [[unlikely]]
      fail(Kind::malformed, "{}: {}{}{} {}", source_, where_, where_.empty() ? "" : ".", key,
           fmt::format(what, std::forward<Args>(args)...));
  }
  const std::string& source() const { return source_; }

 private:
  const nlohmann::json& value_;
  std::string source_, where_;
};

}  // namespace starling::core
