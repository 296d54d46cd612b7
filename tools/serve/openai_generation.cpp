#include "tools/serve/openai_generation.h"

#include <charconv>

namespace starling::tools {
namespace {

constexpr std::size_t kStopStrings = 4, kStopBytes = 512, kBiases = 1024;
constexpr std::size_t kPromptTokens = 1 << 20;
constexpr std::size_t kGrammarBytes = 256 << 10;
constexpr std::int64_t kTokenMax = (std::int64_t{1} << 31) - 1;

std::vector<std::string> decode_stop(const JsonFields& fields) {
  const Json* value = fields.find("stop");
  if (!value) return {};
  std::vector<std::string> stop;
  if (value->is_string()) {
    stop.push_back(value->get<std::string>());
  } else {
    for (const Json& text : *fields.array("stop", kStopStrings)) {
      if (!text.is_string()) throw invalid("stop", "stop: expected a string or a list of strings");
      stop.push_back(text.get<std::string>());
    }
  }
  for (const std::string& text : stop)
    if (text.empty() || text.size() > kStopBytes)
      throw invalid("stop", fmt::format("stop: a stop string has from 1 to {} bytes", kStopBytes));
  return stop;
}

std::vector<std::pair<core::TokenId, float>> decode_bias(const JsonFields& fields) {
  const Json* value = fields.find("logit_bias");
  std::vector<std::pair<core::TokenId, float>> biases;
  if (!value) return biases;
  const JsonFields entries(*value, "logit_bias");
  if (value->size() > kBiases) throw invalid("logit_bias", fmt::format("logit_bias: more than {} entries", kBiases));
  for (const auto& [key, bias] : value->items()) {
    core::TokenId id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0)
      throw invalid("logit_bias", fmt::format("logit_bias: '{}' is not the id of a token", key.substr(0, 40)));
    if (const auto number = entries.number(key, -100, 100)) biases.emplace_back(id, static_cast<float>(*number));
  }
  return biases;
}

OutputFormat decode_format(const JsonFields& fields) {
  OutputFormat format;
  if (const auto grammar = fields.text("grammar")) {
    if (grammar->empty() || grammar->size() > kGrammarBytes)
      throw invalid("grammar", fmt::format("grammar: expected from 1 to {} bytes", kGrammarBytes));
    format = {OutputFormat::Kind::grammar, *grammar};
  }
  const Json* value = fields.find("response_format");
  if (!value) return format;
  const JsonFields entry(*value, "response_format");
  const std::string type = entry.required_text("type");
  if (type != "text" && format.kind != OutputFormat::Kind::text)
    throw invalid("grammar", "grammar and response_format exclude each other");
  if (type == "json_object") return {OutputFormat::Kind::json_object, ""};
  if (type == "json_schema") {
    const JsonFields schema(entry.required("json_schema"), "response_format.json_schema");
    schema.text("name");
    schema.boolean("strict");
    const Json& rules = schema.required("schema");
    if (!rules.is_object()) throw invalid(schema.path("schema"), schema.path("schema") + ": expected an object");
    return {OutputFormat::Kind::json_schema, rules.dump()};
  }
  if (type != "text")
    throw invalid("response_format.type", fmt::format("response_format.type: '{}' is none of text, json_object and json_schema", type.substr(0, 40)));
  return format;
}

std::vector<core::TokenId> decode_ids(const Json& list, const std::string& path) {
  if (list.size() > kPromptTokens) throw invalid(path, fmt::format("{}: more than {} tokens", path, kPromptTokens));
  std::vector<core::TokenId> ids;
  for (const Json& id : list) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > kTokenMax)
      throw invalid(path, path + ": expected ids of tokens");
    ids.push_back(id.get<core::TokenId>());
  }
  return ids;
}

}  // namespace

GenerationRequest decode_generation(const JsonFields& fields) {
  GenerationRequest g;
  g.model = fields.text("model").value_or("");
  g.temperature = fields.number("temperature", 0, 2).value_or(1);
  g.top_p = fields.number("top_p", 0, 1).value_or(1);
  g.min_p = fields.number("min_p", 0, 1).value_or(0);
  g.top_k = fields.integer("top_k", -1, kTokenMax).value_or(0);
  g.repetition_penalty = fields.number("repetition_penalty", 0.01, 100).value_or(1);
  g.presence_penalty = fields.number("presence_penalty", -2, 2).value_or(0);
  g.frequency_penalty = fields.number("frequency_penalty", -2, 2).value_or(0);
  g.seed = fields.integer("seed", INT64_MIN, INT64_MAX);
  g.logit_bias = decode_bias(fields);
  g.stop = decode_stop(fields);
  g.choices = static_cast<int>(fields.integer("n", 1, 128).value_or(1));
  g.stream = fields.boolean("stream").value_or(false);
  if (const Json* options = fields.find("stream_options")) {
    const JsonFields entry(*options, "stream_options");
    if (!g.stream) throw invalid("stream_options", "stream_options: only with stream");
    g.include_usage = entry.boolean("include_usage").value_or(false);
  }
  g.format = decode_format(fields);
  fields.text("user");
  return g;
}

std::vector<Prompt> decode_prompts(const JsonFields& fields, std::string_view name, std::size_t most) {
  const Json& value = fields.required(name);
  const std::string path = fields.path(name);
  std::vector<Prompt> prompts;
  if (value.is_string()) {
    prompts.emplace_back(value.get<std::string>());
    return prompts;
  }
  if (!value.is_array() || value.empty()) throw invalid(path, path + ": expected a string, strings, ids, or lists of ids");
  if (value.front().is_number()) {
    prompts.emplace_back(decode_ids(value, path));
    return prompts;
  }
  if (value.size() > most) throw invalid(path, fmt::format("{}: more than {} at once", path, most));
  for (const Json& prompt : value) {
    if (prompt.is_string() && value.front().is_string()) prompts.emplace_back(prompt.get<std::string>());
    else if (prompt.is_array() && value.front().is_array()) prompts.emplace_back(decode_ids(prompt, path));
    else throw invalid(path, path + ": expected a string, strings, ids, or lists of ids");
  }
  return prompts;
}

}  // namespace starling::tools
