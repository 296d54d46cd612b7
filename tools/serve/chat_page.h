// The page at /: a conversation with the model and a look at the nodes that compute it. Its source is chat_page.html.
#pragma once

#include <string_view>

namespace starling::tools {

std::string_view chat_page();

}  // namespace starling::tools
