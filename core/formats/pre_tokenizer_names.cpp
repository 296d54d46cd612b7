#include "core/formats/pre_tokenizer_names.h"

#include <algorithm>

#include "core/formats/json_fields.h"

namespace starling::core {
namespace {

std::string_view type_of(const nlohmann::json& component) {
  const auto type = component.is_object() ? component.find("type") : component.end();
  return component.is_object() && type != component.end() && type->is_string() ? type->get_ref<const std::string&>()
                                                                               : std::string_view{};
}

const nlohmann::json* parts_of(const nlohmann::json& component) {
  if (type_of(component) != "Sequence") return nullptr;
  const nlohmann::json* result = nullptr;
  for (const char* key : {"pretokenizers", "processors", "normalizers"}) {
    const auto parts = component.find(key);
    if (parts != component.end() && parts->is_array()) result = &*parts;
  }
  return result;
}

std::string split_name(const nlohmann::json& split, const std::string& source) {
  const JsonFields fields(split, source, "pre_tokenizer");
  const auto pattern = fields.object("pattern");
  const std::string expression = pattern ? pattern->text("Regex").value_or("") : "";
  const auto known = std::find_if(kPreTokenizers.begin(), kPreTokenizers.end(),
                                  [&](const PreTokenizerExpression& entry) { return entry.expression == expression; });
  check(known != kPreTokenizers.end(), Kind::unsupported, "{}: pre_tokenizer: the expression \"{}\" is not supported",
        source, expression);
  return std::string(known->name);
}

}  // namespace

const nlohmann::json* find_component(const nlohmann::json* component, std::string_view type) {
  if (!component) return nullptr;
  if (type_of(*component) == type) return component;
  const auto* parts = parts_of(*component);
  if (!parts) return nullptr;
  const auto found = std::find_if(parts->begin(), parts->end(), [&](const auto& part) { return type_of(part) == type; });
  return found == parts->end() ? nullptr : &*found;
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
    } else {
      digits = type == "Digits" && fields.boolean("individual_digits").value_or(false);
      check(digits, Kind::unsupported, "{}: pre_tokenizer: '{}' is not supported here", source, type);
    }
  };
  const nlohmann::json alone = nlohmann::json::array({pre_tokenizer});
  const auto* parts = parts_of(pre_tokenizer);
  for (const auto& part : parts ? *parts : alone) take(part);
  check(gpt2 != !name.empty() && !(digits && !gpt2), Kind::unsupported,
        "{}: pre_tokenizer: this combination of steps is not supported", source);
  return gpt2 ? (digits ? "starcoder" : "gpt-2") : name;
}

}  // namespace starling::core
