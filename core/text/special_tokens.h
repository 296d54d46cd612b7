// Cuts a text at the tokens that are matched verbatim before any merging: user-defined pieces always, control
// and unknown ones only when the caller trusts the text.
#pragma once

#include <array>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/vocabulary.h"

namespace starling::core {

/// Either a token found verbatim (token >= 0) or plain text.
struct Fragment {
  std::string_view text;
  TokenId token = -1;
};

class SpecialTokens {
 public:
  /// Keeps views into `vocabulary.pieces`, which must outlive this object; kinds must be complete.
  explicit SpecialTokens(const Vocabulary& vocabulary);
  /// Fragments in order, none empty. The longest token (in bytes) wins wherever it stands, then the leftmost.
  std::vector<Fragment> split(std::string_view text, bool parse_special) const;

 private:
  /// All tokens of one length; the first-byte table skips most positions without hashing.
  struct Length {
    std::size_t bytes;
    std::array<bool, 256> first{};
    std::unordered_map<std::string_view, TokenId> tokens;
  };
  using Lengths = std::vector<Length>;  // longest first
  static Lengths collect(const Vocabulary& vocabulary, bool with_control);

  Lengths user_defined_, all_;
};

}  // namespace starling::core
