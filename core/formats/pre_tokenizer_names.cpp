#include "core/formats/pre_tokenizer_names.h"

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
  for (const PreTokenizerExpression& known : kPreTokenizers)
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

}  // namespace starling::core
