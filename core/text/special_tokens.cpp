// One pass over the remaining text per distinct token length: linear in the text whatever the number of tokens.
#include "core/text/special_tokens.h"

#include <algorithm>
#include <functional>
#include <map>

namespace starling::core {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary)
    : user_defined_(collect(vocabulary, false)), all_(collect(vocabulary, true)) {}

SpecialTokens::Lengths SpecialTokens::collect(const Vocabulary& vocabulary, bool with_control) {
  std::map<std::size_t, Length, std::greater<>> by_length;
  for (std::size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    const PieceKind kind = vocabulary.kinds[id];
    const bool wanted = kind == PieceKind::user_defined ||
                        (with_control && (kind == PieceKind::control || kind == PieceKind::unknown));
    const std::string_view text = vocabulary.pieces[id];
    if (!wanted || text.empty()) continue;
    Length& length = by_length[text.size()];
    length.bytes = text.size();
    length.first[static_cast<unsigned char>(text[0])] = true;
    length.tokens.emplace(text, static_cast<TokenId>(id));
  }
  Lengths lengths;
  for (auto& [bytes, length] : by_length) lengths.push_back(std::move(length));
  return lengths;
}

std::vector<Fragment> SpecialTokens::split(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  if (!text.empty()) fragments.push_back({text});
  for (const Length& length : parse_special ? all_ : user_defined_) {
    std::vector<Fragment> next;
    for (const Fragment& fragment : fragments) {
      if (fragment.token >= 0) {
        next.push_back(fragment);
        continue;
      }
      const std::string_view rest = fragment.text;
      std::size_t begin = 0;
      for (std::size_t i = 0; i + length.bytes <= rest.size();) {
        const auto found = length.first[static_cast<unsigned char>(rest[i])] ? length.tokens.find(rest.substr(i, length.bytes))
                                                                             : length.tokens.end();
        if (found == length.tokens.end()) {
          ++i;
          continue;
        }
        if (i > begin) next.push_back({rest.substr(begin, i - begin)});
        next.push_back({rest.substr(i, length.bytes), found->second});
        begin = i += length.bytes;
      }
      if (begin < rest.size()) next.push_back({rest.substr(begin)});
    }
    fragments = std::move(next);
  }
  return fragments;
}

}  // namespace starling::core
