// Text from outside as rows of fields between commas, in place. Every error names source, line and field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace starling::core {

class Rows {
 public:
  Rows(std::string_view text, std::string source) : left_(text), source_(std::move(source)) {}

  /// Goes to the next line that is not empty; false at the end. Blanks and a carriage return around fields are dropped.
  bool next();
  std::int64_t line() const { return line_; }
  const std::vector<std::string_view>& fields() const { return fields_; }
  /// Kind::malformed unless the row has that many fields.
  void expect_fields(std::size_t count) const;
  /// A finite number.
  float number(std::size_t field, std::string_view name) const;
  std::int32_t whole(std::size_t field, std::string_view name, std::int32_t low, std::int32_t high) const;

  template <class... Args>
  [[noreturn]] void malformed(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Kind::malformed, "{}: line {}: {}", source_, line_, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::string_view left_;
  std::string source_;
  std::int64_t line_ = 0;
  std::vector<std::string_view> fields_;
};

/// A piece of text from outside as an error may quote it: printable and short.
std::string in_quotes(std::string_view text);

}  // namespace starling::core
