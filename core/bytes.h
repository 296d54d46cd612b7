// Bounded reading and writing of little-endian bytes, and arithmetic on sizes that came from outside.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace starling::core {

static_assert(std::endian::native == std::endian::little, "Starling runs on little-endian machines only");

using Bytes = std::span<const std::byte>;

std::optional<std::uint64_t> checked_multiply(std::uint64_t a, std::uint64_t b);
std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b);

/// Reads fields in order from `data`. Every method names the field it reads, so that a short or wrong
/// input fails with `source: field at offset N: needs K bytes, M left` (Kind::malformed).
class Reader {
 public:
  Reader(Bytes data, std::string source) : data_(data), source_(std::move(source)) {}

  template <class T>
    requires std::is_arithmetic_v<T>
  T number(std::string_view field) {
    T value;
    std::memcpy(&value, take(sizeof(T), field).data(), sizeof(T));
    return value;
  }
  /// The next `count` bytes; a view, not a copy.
  Bytes take(std::uint64_t count, std::string_view field);
  std::string text(std::uint64_t length, std::string_view field);

  std::uint64_t offset() const { return offset_; }
  std::uint64_t left() const { return data_.size() - offset_; }
  const std::string& source() const { return source_; }

  template <class... Args>
  [[noreturn]] void malformed(std::string_view field, fmt::format_string<Args...> format, Args&&... args) const {
    fail(Kind::malformed, "{}: {} at offset {}: {}", source_, field, offset_,
         fmt::format(format, std::forward<Args>(args)...));
  }
  /// malformed() unless `condition` holds.
  template <class... Args>
  void require(bool condition, std::string_view field, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) [[unlikely]]
      malformed(field, format, std::forward<Args>(args)...);
  }

 private:
  Bytes data_;
  std::uint64_t offset_ = 0;
  std::string source_;
};

/// Appends little-endian fields to a growing buffer.
class Writer {
 public:
  template <class T>
    requires std::is_arithmetic_v<T>
  void number(T value) {
    append(std::as_bytes(std::span(&value, 1)));
  }
  void append(Bytes data) {
    if (data.empty()) return;
    bytes_.resize(bytes_.size() + data.size());
    std::memcpy(bytes_.data() + bytes_.size() - data.size(), data.data(), data.size());
  }
  void text(std::string_view s) { append(std::as_bytes(std::span(s.data(), s.size()))); }
  /// Zeros up to the next multiple of `alignment`.
  void pad_to(std::uint64_t alignment) { bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment); }
  std::uint64_t size() const { return bytes_.size(); }
  Bytes view() const { return bytes_; }
  std::vector<std::byte> release() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace starling::core
