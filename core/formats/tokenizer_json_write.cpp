// tokenizer.json of a byte-level vocabulary.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/formats/pre_tokenizer_names.h"
#include "core/formats/tokenizer_json.h"

namespace starling::core {

nlohmann::ordered_json pre_tokenizer_json(std::string_view name, const std::string& target) {
  const auto byte_level = [](bool use_regex) {
    return nlohmann::ordered_json{
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
  };
  if (name == "gpt-2") return byte_level(true);
  nlohmann::ordered_json first;
  if (name == "starcoder") first = {{"type", "Digits"}, {"individual_digits", true}};
  for (const PreTokenizerExpression& known : kPreTokenizers)
    if (known.name == name)
      first = {{"type", "Split"},
               {"pattern", {{"Regex", std::string(known.expression)}}},
               {"behavior", "Isolated"},
               {"invert", false}};
  check(!first.is_null(), Kind::unsupported, "{}: pre-tokenizer '{}' cannot be written as tokenizer.json", target, name);
  const auto second = byte_level(name == "starcoder");
  return {{"type", "Sequence"}, {"pretokenizers", nlohmann::ordered_json::array({first, second})}};
}

std::string encode_tokenizer_json(const Vocabulary& v, const std::string& target) {
  check(v.model == TokenizerModel::byte_level_bpe, Kind::unsupported,
        "{}: only byte-level vocabularies can be written as tokenizer.json", target);
  nlohmann::ordered_json added = nlohmann::ordered_json::array(), tokens = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < v.pieces.size(); ++i) {
    tokens.get_ref<nlohmann::ordered_json::object_t&>().emplace_back(v.pieces[i], i);
    const PieceKind kind = v.kinds.empty() ? PieceKind::normal : v.kinds[i];
    if (kind == PieceKind::control || kind == PieceKind::user_defined)
      added.push_back({{"id", i}, {"content", v.pieces[i]}, {"special", kind == PieceKind::control}});
  }
  nlohmann::ordered_json processor = nullptr;
  if (v.add_bos.value_or(false) && v.bos) {
    const std::string& bos = v.pieces[static_cast<std::size_t>(*v.bos)];
    const nlohmann::ordered_json first = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
    const nlohmann::ordered_json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
    const nlohmann::ordered_json token = {{"id", bos}, {"ids", {*v.bos}}, {"tokens", {bos}}};
    processor = {{"type", "TemplateProcessing"},
                 {"single", nlohmann::ordered_json::array({first, text})},
                 {"pair", nlohmann::ordered_json::array({first, text})},
                 {"special_tokens", {{bos, token}}}};
  }
  const nlohmann::ordered_json model = {{"type", "BPE"},          {"ignore_merges", v.ignore_merges},
                                        {"byte_fallback", false}, {"vocab", std::move(tokens)},
                                        {"merges", v.merges}};
  const nlohmann::ordered_json result = {{"version", "1.0"},
                                         {"added_tokens", std::move(added)},
                                         {"normalizer", nullptr},
                                         {"pre_tokenizer", pre_tokenizer_json(v.pre, target)},
                                         {"post_processor", std::move(processor)},
                                         {"decoder", {{"type", "ByteLevel"}}},
                                         {"model", model}};
  try {
    return result.dump();
  } catch (const nlohmann::json::exception&) {
    fail(Kind::unsupported, "{}: the vocabulary holds text that is not UTF-8", target);
  }
}

}  // namespace starling::core
