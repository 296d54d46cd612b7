// Random names of answers and calls, and seeds for requests that bring none.
#pragma once

#include <sys/random.h>

#include <cstdint>
#include <span>
#include <string>

#include "core/error.h"

namespace starling::tools {

/// From the kernel, which has always some for so few; std::random_device asks the processor what it can do each time, which
/// a virtual machine answers slowly.
inline void fill_randomly(std::span<std::byte> bytes) {
  core::ensure(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "random bytes");
}

/// `prefix` and 24 random letters and digits.
inline std::string new_id(const std::string& prefix) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::uint64_t random[24];
  fill_randomly(std::as_writable_bytes(std::span(random)));
  std::string id = prefix;
  for (const std::uint64_t value : random) id += kLetters[value % (sizeof kLetters - 1)];
  return id;
}

inline std::uint64_t random_seed() {
  std::uint64_t seed[1];
  fill_randomly(std::as_writable_bytes(std::span(seed)));
  return seed[0];
}

}  // namespace starling::tools
