// Token ids that a user gives instead of text.
#pragma once

#include <string>
#include <vector>

#include "core/text/tokenizer.h"

namespace starling::tools {

/// Ids separated by commas, blanks or both. Kind::usage that names `option`.
std::vector<core::TokenId> parse_ids(const std::string& text, const char* option);

}  // namespace starling::tools
