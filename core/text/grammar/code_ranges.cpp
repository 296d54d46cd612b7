// Ranges of code points and their UTF-8: a range is cut where the length or a leading byte changes, until every byte
// of the sequence runs through a range of its own (as in R. Cox's RE2 and K. Thompson's UTF-8 automata).
#include <algorithm>

#include "core/text/grammar/automaton.h"
#include "core/text/utf8.h"

namespace starling::core {
namespace {

constexpr char32_t kLast = 0x10FFFF, kBeforeSurrogates = 0xD7FF, kBehindSurrogates = 0xE000;

void append_sequences(char32_t first, char32_t last, std::vector<std::vector<ByteRange>>& out) {
  for (const char32_t cut : {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xFFFF}}) {
    if (first > cut || last <= cut) continue;
    append_sequences(first, cut, out);
    append_sequences(cut + 1, last, out);
    return;
  }
  // Within one length: continuation bytes must run through all values unless everything before them is equal.
  for (int low_bits = 6; low_bits <= 18; low_bits += 6) {
    const char32_t mask = (char32_t{1} << low_bits) - 1;
    if ((first & ~mask) == (last & ~mask)) break;
    if ((first & mask) != 0) {
      append_sequences(first, first | mask, out);
      append_sequences((first | mask) + 1, last, out);
      return;
    }
    if ((last & mask) != mask) {
      append_sequences(first, (last & ~mask) - 1, out);
      append_sequences(last & ~mask, last, out);
      return;
    }
  }
  std::string low, high;
  append_utf8(low, first);
  append_utf8(high, last);
  std::vector<ByteRange> sequence;
  for (std::size_t i = 0; i < low.size(); ++i)
    sequence.emplace_back(static_cast<unsigned char>(low[i]), static_cast<unsigned char>(high[i]));
  out.push_back(std::move(sequence));
}

}  // namespace

std::vector<CodeRange> normalised(std::vector<CodeRange> ranges) {
  std::vector<CodeRange> cut;
  for (const CodeRange& r : ranges) {
    if (r.first <= kBeforeSurrogates) cut.push_back({r.first, std::min(r.last, kBeforeSurrogates)});
    if (r.last >= kBehindSurrogates) cut.push_back({std::max(r.first, kBehindSurrogates), std::min(r.last, kLast)});
  }
  std::erase_if(cut, [](const CodeRange& r) { return r.first > r.last; });
  std::sort(cut.begin(), cut.end(), [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
  std::vector<CodeRange> merged;
  for (const CodeRange& r : cut) {
    if (!merged.empty() && r.first <= merged.back().last + 1)
      merged.back().last = std::max(merged.back().last, r.last);
    else
      merged.push_back(r);
  }
  return merged;
}

std::vector<CodeRange> complement(const std::vector<CodeRange>& ranges) {
  std::vector<CodeRange> rest;
  char32_t next = 0;
  for (const CodeRange& r : ranges) {
    if (r.first > next) rest.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kLast) rest.push_back({next, kLast});
  return normalised(std::move(rest));
}

std::vector<std::vector<ByteRange>> utf8_sequences(const std::vector<CodeRange>& ranges) {
  std::vector<std::vector<ByteRange>> sequences;
  for (const CodeRange& r : ranges) append_sequences(r.first, r.last, sequences);
  return sequences;
}

}  // namespace starling::core
