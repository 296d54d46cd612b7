// Pre-tokenizers as tokenizer.json writes them against the names that GGUF gives them.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace starling::core {

/// The GGUF name of the byte-level pre-tokenizer in "pre_tokenizer". Kind::unsupported with the expression when
/// it is none of the known ones.
std::string pre_tokenizer_name(const nlohmann::json& pre_tokenizer, const std::string& source);

/// The "pre_tokenizer" of that GGUF name. Kind::unsupported when its expression is not known here.
nlohmann::ordered_json pre_tokenizer_json(std::string_view name, const std::string& target);

/// Whether `component`, or a member of it if it is a Sequence, has that "type".
bool has_component(const nlohmann::json* component, std::string_view type);

}  // namespace starling::core
