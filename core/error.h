// One exception type for the whole project. The kind says what the caller can do about it; the
// sentence names the file, field or peer and the values.
#pragma once

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace starling::core {

enum class Kind {
  usage,        // the caller asked for something impossible: an option, a shape, a name
  malformed,    // bytes from outside break their format
  missing,      // a file or data set is not there
  refused,      // a peer or a limit said no; trying the same again will not help
  timeout,      // a deadline passed
  unreachable,  // a peer is gone or silent
  overloaded,   // a bound is reached; try later
  unsupported,  // well-formed, but not something this build can do
  internal,     // our own bug
};

std::string_view to_string(Kind kind);

/// errno in words, looked up when the message is made: in `check(call() == 0, kind, "{}", last_error)` the call
/// comes first, while the order in which strerror(errno) and the call are evaluated would be anybody's guess.
struct LastError {};
inline constexpr LastError last_error{};

class Error : public std::runtime_error {
 public:
  Error(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

template <class... Args>
[[noreturn]] void fail(Kind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// For input and peers: throws Error(kind) unless `condition` holds.
template <class... Args>
void check(bool condition, Kind kind, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]]
    throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// For our own invariants; kept on in release builds.
inline void ensure(bool condition, const char* what) {
  if (!condition) [[unlikely]]
    throw Error(Kind::internal, what);
}

}  // namespace starling::core

template <>
struct fmt::formatter<starling::core::LastError> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(starling::core::LastError, Context& context) const {
    return fmt::formatter<std::string_view>::format(std::strerror(errno), context);
  }
};
