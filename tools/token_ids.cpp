#include "tools/token_ids.h"

#include <charconv>

#include "core/error.h"

namespace starling::tools {

std::vector<core::TokenId> parse_ids(const std::string& text, const char* option) {
  std::vector<core::TokenId> ids;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    if (*at == ',' || *at == ' ' || *at == '\n') {
      ++at;
      continue;
    }
    core::TokenId id = 0;
    const auto [rest, error] = std::from_chars(at, end, id);
    core::check(error == std::errc(), core::Kind::usage, "{}: '{}' is no list of token ids such as 1,2,3", option, text);
    ids.push_back(id);
    at = rest;
  }
  return ids;
}

}  // namespace starling::tools
