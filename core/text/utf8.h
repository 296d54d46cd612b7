// UTF-8 as tokenizers and streaming output need it: one strict decoder (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF) and a buffer for characters cut by a token boundary.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace starling::core {

inline constexpr char32_t kReplacement = 0xFFFD;

struct Utf8Character {
  char32_t code_point = kReplacement;
  std::size_t length = 0;  // bytes; 0: what stands there is not valid UTF-8
};

/// The character that starts at `text[position]` (position < text.size()).
Utf8Character decode_utf8(std::string_view text, std::size_t position);
void append_utf8(std::string& out, char32_t code_point);
/// `text` with U+FFFD in place of every byte that belongs to no valid character.
std::string replace_invalid_utf8(std::string_view text);

/// Collects bytes and hands them on in whole characters. Bytes that can no longer become a valid character
/// pass unchanged, so the concatenation of everything returned is the concatenation of everything pushed.
class Utf8Stream {
 public:
  /// All bytes so far but a trailing incomplete character (at most 3 bytes are held back).
  std::string push(std::string_view bytes);
  /// What is still held back at the end of the stream.
  std::string finish();

 private:
  std::string held_;
};

}  // namespace starling::core
