#include "tools/serve/openai_reply.h"

#include <cmath>

#include "tools/serve/base64.h"

namespace starling::tools {
namespace {

/// JSON has no infinity; the API writes -9999.
double finite(double logprob) { return std::isfinite(logprob) ? logprob : -9999.0; }

Json bytes_of(const std::string& token) {
  Json bytes = Json::array();
  for (const unsigned char c : token) bytes.push_back(c);
  return bytes;
}

Json token_entry(const std::string& token, double logprob) {
  return {{"token", token}, {"logprob", finite(logprob)}, {"bytes", bytes_of(token)}};
}

Json chat_logprobs(const ReplyHead& head, const std::vector<TokenLogprob>& tokens) {
  if (!head.logprobs) return nullptr;
  Json content = Json::array();
  for (const TokenLogprob& token : tokens) {
    Json entry = token_entry(token.token, token.logprob);
    entry["top_logprobs"] = Json::array();
    for (const auto& [text, logprob] : token.top) entry["top_logprobs"].push_back(token_entry(text, logprob));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json completion_logprobs(const ReplyHead& head, const std::vector<TokenLogprob>& tokens, std::int64_t offset) {
  if (!head.logprobs) return nullptr;
  Json texts = Json::array(), logprobs = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const TokenLogprob& token : tokens) {
    texts.push_back(token.token);
    logprobs.push_back(finite(token.logprob));
    Json top = Json::object();
    for (const auto& [text, logprob] : token.top) top[text] = finite(logprob);
    tops.push_back(std::move(top));
    offsets.push_back(offset);
    for (const char c : token.token) offset += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }
  return {{"tokens", std::move(texts)}, {"token_logprobs", std::move(logprobs)}, {"top_logprobs", std::move(tops)}, {"text_offset", std::move(offsets)}};
}

Json usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt},
          {"completion_tokens", usage.completion},
          {"total_tokens", usage.prompt + usage.completion},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached}}}};
}

Json start(const ReplyHead& head, const char* object) {
  return {{"id", head.id}, {"object", object}, {"created", head.created}, {"model", head.model}};
}

Json call_json(const ToolCallPiece& call, bool with_index) {
  Json json = Json::object();
  if (with_index) json["index"] = call.index;
  if (!call.name.empty()) {
    json["id"] = call.id;
    json["type"] = "function";
    json["function"] = {{"name", call.name}, {"arguments", call.arguments}};
  } else {
    json["function"] = {{"arguments", call.arguments}};
  }
  return json;
}

Json chunk(const ReplyHead& head, int index, Json delta, Json logprobs, Json reason) {
  Json json = start(head, kChatChunk);
  json["choices"] = Json::array({{{"index", index}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}, {"finish_reason", std::move(reason)}}});
  if (head.include_usage) json["usage"] = nullptr;
  return json;
}

}  // namespace

Json chat_reply(const ReplyHead& head, std::span<const FinishedChoice> choices, const Usage& usage) {
  Json json = start(head, "chat.completion");
  json["choices"] = Json::array();
  for (const FinishedChoice& choice : choices) {
    const Written& written = choice.written;
    Json message{{"role", "assistant"}, {"content", written.text}, {"refusal", nullptr}};
    if (!written.calls.empty()) {
      if (written.text.empty()) message["content"] = nullptr;
      message["tool_calls"] = Json::array();
      for (const ToolCallPiece& call : written.calls) message["tool_calls"].push_back(call_json(call, false));
    }
    json["choices"].push_back({{"index", json["choices"].size()},
                               {"message", std::move(message)},
                               {"logprobs", chat_logprobs(head, written.logprobs)},
                               {"finish_reason", choice.reason}});
  }
  json["usage"] = usage_json(usage);
  return json;
}

Json completion_reply(const ReplyHead& head, std::span<const FinishedChoice> choices, const Usage& usage) {
  Json json = start(head, kCompletion);
  json["choices"] = Json::array();
  for (const FinishedChoice& choice : choices)
    json["choices"].push_back({{"text", choice.written.text},
                               {"index", json["choices"].size()},
                               {"logprobs", completion_logprobs(head, choice.written.logprobs, 0)},
                               {"finish_reason", choice.reason}});
  json["usage"] = usage_json(usage);
  return json;
}

Json chat_first_chunk(const ReplyHead& head, int index) {
  return chunk(head, index, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
}

Json chat_chunk(const ReplyHead& head, int index, const Written& written) {
  Json delta = Json::object();
  if (!written.text.empty() || written.calls.empty()) delta["content"] = written.text;
  for (const ToolCallPiece& call : written.calls) delta["tool_calls"].push_back(call_json(call, true));
  return chunk(head, index, std::move(delta), chat_logprobs(head, written.logprobs), nullptr);
}

Json chat_last_chunk(const ReplyHead& head, int index, const std::string& reason) {
  return chunk(head, index, Json::object(), nullptr, reason);
}

Json completion_chunk(const ReplyHead& head, int index, const Written& written, std::int64_t offset, const std::string& reason) {
  Json json = start(head, kCompletion);
  json["choices"] = Json::array({{{"text", written.text},
                                  {"index", index},
                                  {"logprobs", completion_logprobs(head, written.logprobs, offset)},
                                  {"finish_reason", reason.empty() ? Json() : Json(reason)}}});
  if (head.include_usage) json["usage"] = nullptr;
  return json;
}

Json usage_chunk(const ReplyHead& head, const char* object, const Usage& usage) {
  Json json = start(head, object);
  json["choices"] = Json::array();
  json["usage"] = usage_json(usage);
  return json;
}

Json embedding_reply(const std::string& model, std::span<const std::vector<float>> vectors, bool base64, std::int64_t tokens) {
  Json json{{"object", "list"}, {"model", model}, {"data", Json::array()}};
  for (const std::vector<float>& vector : vectors)
    json["data"].push_back({{"object", "embedding"}, {"index", json["data"].size()}, {"embedding", base64 ? Json(to_base64(std::as_bytes(std::span(vector)))) : Json(vector)}});
  json["usage"] = {{"prompt_tokens", tokens}, {"total_tokens", tokens}};
  return json;
}

Json model_entry(const std::string& name, std::int64_t created) {
  return {{"id", name}, {"object", "model"}, {"created", created}, {"owned_by", "starling"}};
}

Json model_list(std::vector<Json> entries) { return {{"object", "list"}, {"data", std::move(entries)}}; }

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace starling::tools
