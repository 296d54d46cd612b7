// Decoding of the fields that chats and completions share.
#pragma once

#include "tools/serve/json_fields.h"
#include "tools/serve/openai_request.h"

namespace starling::tools {

/// Everything but the number of tokens and logprobs, which the two endpoints spell differently.
GenerationRequest decode_generation(const JsonFields& fields);
/// A string, a list of strings, ids, or a list of lists of ids.
std::vector<Prompt> decode_prompts(const JsonFields& fields, std::string_view name, std::size_t most);

}  // namespace starling::tools
