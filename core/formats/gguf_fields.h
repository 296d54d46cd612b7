// Typed access to GGUF metadata with errors that name the file and the key.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/gguf.h"

namespace starling::core {

class GgufFields {
 public:
  GgufFields(const Gguf& file, std::string source) : file_(file), source_(std::move(source)) {}

  /// nullopt when the key is absent; Kind::malformed when its value has another type.
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> real(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  /// nullptr when absent.
  const std::vector<std::string>* texts(std::string_view key) const;
  const std::vector<std::int64_t>* integers(std::string_view key) const;
  const std::vector<double>* reals(std::string_view key) const;

  const GgufValue* find(std::string_view key) const { return file_.find(key); }
  /// Kind::malformed when absent.
  std::int64_t required_integer(std::string_view key) const;
  const std::string& source() const { return source_; }

 private:
  template <class T>
  const T* get(std::string_view key, std::string_view expected) const {
    const GgufValue* value = file_.find(key);
    if (!value) return nullptr;
    const T* held = std::get_if<T>(&value->data);
    check(held != nullptr, Kind::malformed, "{}: {} is {}{}, {} expected", source_, key,
          value->is_array ? "an array of " : "", to_string(value->type), expected);
    return held;
  }

  const Gguf& file_;
  std::string source_;
};

}  // namespace starling::core
