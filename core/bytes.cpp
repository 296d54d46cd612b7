#include "core/bytes.h"

namespace starling::core {

std::optional<std::uint64_t> checked_multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

Bytes Reader::take(std::uint64_t count, std::string_view field) {
  if (count > left()) malformed(field, "needs {} bytes, {} left", count, left());
  const Bytes result = data_.subspan(offset_, count);
  offset_ += count;
  return result;
}

std::string Reader::text(std::uint64_t length, std::string_view field) {
  const Bytes raw = take(length, field);
  return {reinterpret_cast<const char*>(raw.data()), raw.size()};
}

}  // namespace starling::core
