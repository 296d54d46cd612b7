#include "core/formats/pre_tokenizer_names.h"

#include <array>

#include "core/formats/json_fields.h"

namespace starling::core {
namespace {

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define TAIL_SLASH R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define UPPER R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
#define LOWER R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"

struct Known {
  std::string_view name, expression;
};
// The first of a repeated expression is the one that reading reports.
constexpr std::array kKnown = std::to_array<Known>({
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

std::string_view type_of(const nlohmann::json& component) {
  const auto type = component.is_object() ? component.find("type") : component.end();
  return component.is_object() && type != component.end() && type->is_string() ? type->get_ref<const std::string&>()
                                                                               : std::string_view{};
}

const nlohmann::json* parts_of(const nlohmann::json& component) {
  if (type_of(component) != "Sequence") return nullptr;
  for (const char* key : {"pretokenizers", "processors", "normalizers", "decoders"}) {
    const auto parts = component.find(key);
    if (parts != component.end() && parts->is_array()) return &*parts;
  }
  return nullptr;
}

std::string split_name(const nlohmann::json& split, const std::string& source) {
  const JsonFields fields(split, source, "pre_tokenizer");
  const auto pattern = fields.object("pattern");
  const std::string expression = pattern ? pattern->text("Regex").value_or("") : "";
  for (const Known& known : kKnown)
    if (known.expression == expression) return std::string(known.name);
  fail(Kind::unsupported, "{}: pre_tokenizer: the expression \"{}\" is not supported", source, expression);
}

}  // namespace

bool has_component(const nlohmann::json* component, std::string_view type) {
  if (!component) return false;
  if (type_of(*component) == type) return true;
  const auto* parts = parts_of(*component);
  if (!parts) return false;
  for (const auto& part : *parts)
    if (type_of(part) == type) return true;
  return false;
}

std::string pre_tokenizer_name(const nlohmann::json& pre_tokenizer, const std::string& source) {
  std::string name;
  bool digits = false, gpt2 = false;
  const auto take = [&](const nlohmann::json& part) {
    const JsonFields fields(part, source, "pre_tokenizer");
    const std::string_view type = type_of(part);
    if (type == "Split" && name.empty()) {
      name = split_name(part, source);
    } else if (type == "ByteLevel") {
      check(!fields.boolean("add_prefix_space").value_or(false), Kind::unsupported,
            "{}: pre_tokenizer: add_prefix_space is not supported for byte-level models", source);
      gpt2 = gpt2 || fields.boolean("use_regex").value_or(true);
    } else if (type == "Digits" && fields.boolean("individual_digits").value_or(false)) {
      digits = true;
    } else {
      fail(Kind::unsupported, "{}: pre_tokenizer: '{}' is not supported here", source, type);
    }
  };
  if (const auto* parts = parts_of(pre_tokenizer)) {
    for (const auto& part : *parts) take(part);
  } else {
    take(pre_tokenizer);
  }
  check(gpt2 != !name.empty() && !(digits && !gpt2), Kind::unsupported,
        "{}: pre_tokenizer: this combination of steps is not supported", source);
  return gpt2 ? (digits ? "starcoder" : "gpt-2") : name;
}

nlohmann::ordered_json pre_tokenizer_json(std::string_view name, const std::string& target) {
  const auto byte_level = [](bool use_regex) {
    return nlohmann::ordered_json{
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
  };
  if (name == "gpt-2") return byte_level(true);
  nlohmann::ordered_json first;
  if (name == "starcoder") first = {{"type", "Digits"}, {"individual_digits", true}};
  for (const Known& known : kKnown)
    if (known.name == name)
      first = {{"type", "Split"},
               {"pattern", {{"Regex", std::string(known.expression)}}},
               {"behavior", "Isolated"},
               {"invert", false}};
  check(!first.is_null(), Kind::unsupported, "{}: pre-tokenizer '{}' cannot be written as tokenizer.json", target, name);
  const auto second = byte_level(name == "starcoder");
  return {{"type", "Sequence"}, {"pretokenizers", nlohmann::ordered_json::array({first, second})}};
}

}  // namespace starling::core
