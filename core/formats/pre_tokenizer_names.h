// Pre-tokenizers as tokenizer.json writes them against the names that GGUF gives them.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace starling::core {

struct PreTokenizerExpression {
  std::string_view name, expression;
};

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define TAIL_SLASH R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define UPPER R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
#define LOWER R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"

// The first of a repeated expression is the one that reading reports.
inline constexpr std::array kPreTokenizers = std::to_array<PreTokenizerExpression>({
    {"llama-bpe", CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})" TAIL},
    {"llama3", CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})" TAIL},
    {"qwen2", CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})" TAIL},
    {"tekken", UPPER "|" LOWER R"(|\p{N})" TAIL_SLASH},
    {"gpt-4o", UPPER CONTRACTION "?|" LOWER CONTRACTION R"(?|\p{N}{1,3})" TAIL_SLASH},
});

#undef CONTRACTION
#undef TAIL
#undef TAIL_SLASH
#undef UPPER
#undef LOWER

/// The GGUF name of the byte-level pre-tokenizer in "pre_tokenizer". Kind::unsupported with the expression when
/// it is none of the known ones.
std::string pre_tokenizer_name(const nlohmann::json& pre_tokenizer, const std::string& source);

/// The "pre_tokenizer" of that GGUF name. Kind::unsupported when its expression is not known here.
nlohmann::ordered_json pre_tokenizer_json(std::string_view name, const std::string& target);

/// `component`, or the first member of it if it is a Sequence, that has that "type"; nullptr without one.
const nlohmann::json* find_component(const nlohmann::json* component, std::string_view type);

}  // namespace starling::core
