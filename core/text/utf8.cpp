// Strict UTF-8 after RFC 3629, table 3-7 of the Unicode standard.
#include "core/text/utf8.h"

#include <utility>

namespace starling::core {

namespace {

struct Lead {
  std::size_t length;            // 0: never starts a character
  unsigned char second_min, second_max;
};

Lead lead_of(unsigned char c) {
  if (c < 0x80) return {1, 0, 0};
  if (c < 0xC2) return {0, 0, 0};
  if (c < 0xE0) return {2, 0x80, 0xBF};
  if (c < 0xF0) return {3, static_cast<unsigned char>(c == 0xE0 ? 0xA0 : 0x80), static_cast<unsigned char>(c == 0xED ? 0x9F : 0xBF)};
  if (c < 0xF5) return {4, static_cast<unsigned char>(c == 0xF0 ? 0x90 : 0x80), static_cast<unsigned char>(c == 0xF4 ? 0x8F : 0xBF)};
  return {0, 0, 0};
}

/// How many bytes at `position` agree with the start of a valid character; complete if it equals the lead's length.
std::size_t valid_prefix(std::string_view text, std::size_t position, const Lead& lead) {
  if (lead.length == 0) return 0;
  std::size_t n = 1;
  for (; n < lead.length && position + n < text.size(); ++n) {
    const auto c = static_cast<unsigned char>(text[position + n]);
    if (n == 1 ? (c < lead.second_min || c > lead.second_max) : (c & 0xC0) != 0x80) break;
  }
  return n;
}

}  // namespace

Utf8Character decode_utf8(std::string_view text, std::size_t position) {
  const auto first = static_cast<unsigned char>(text[position]);
  if (first < 0x80) return {first, 1};
  const Lead lead = lead_of(first);
  if (lead.length == 0 || valid_prefix(text, position, lead) != lead.length) return {};
  char32_t value = first & (0x7Fu >> lead.length);
  for (std::size_t i = 1; i < lead.length; ++i) value = value << 6 | (static_cast<unsigned char>(text[position + i]) & 0x3F);
  return {value, lead.length};
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Character c = decode_utf8(text, i);
    if (c.length == 0) {
      append_utf8(out, kReplacement);
      ++i;
    } else {
      out.append(text.substr(i, c.length));
      i += c.length;
    }
  }
  return out;
}

std::string Utf8Stream::push(std::string_view bytes) {
  held_.append(bytes);
  // Only the last three bytes can be the start of a character whose end is still to come.
  std::size_t keep = 0;
  for (std::size_t back = 1; back <= 3 && back <= held_.size(); ++back) {
    const std::size_t at = held_.size() - back;
    const Lead lead = lead_of(static_cast<unsigned char>(held_[at]));
    if (lead.length > back && valid_prefix(held_, at, lead) == back) keep = back;
  }
  std::string whole = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return whole;
}

std::string Utf8Stream::finish() { return std::exchange(held_, {}); }

}  // namespace starling::core
