// What a client asks for through the OpenAI API, decoded from JSON bodies: pure, bounded, fuzzed. Unknown fields are
// ignored, null is absent, and everything else is checked: what is wrong is an ApiError that names the field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/text/vocabulary.h"

namespace starling::tools {

/// What the text must look like.
struct OutputFormat {
  enum class Kind { text, json_object, json_schema, grammar };
  Kind kind = Kind::text;
  std::string source;  // of json_schema: the schema as JSON; of grammar: its rules

  bool operator==(const OutputFormat&) const = default;
};

/// The fields that chats and completions share.
struct GenerationRequest {
  std::string model;
  std::optional<std::int64_t> tokens;  // most to write; absent: as many as the context holds
  double temperature = 1, top_p = 1, min_p = 0, repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  std::int64_t top_k = 0;
  std::optional<std::int64_t> seed;
  std::vector<std::pair<core::TokenId, float>> logit_bias;
  std::vector<std::string> stop;
  int choices = 1;
  bool stream = false;
  bool include_usage = false;
  std::optional<int> logprobs;  // how many of the likeliest tokens to tell beside each chosen one
  OutputFormat format;
};

struct RequestToolCall {
  std::string id, name;
  std::string arguments;  // JSON, as a string
};

struct RequestMessage {
  std::string role;  // system, user, assistant or tool
  std::string content;
  std::vector<RequestToolCall> tool_calls;
  std::string tool_call_id;
};

struct RequestTool {
  std::string name, description;
  std::string parameters;  // a JSON schema, "{}" when none was given
};

struct ChatRequest {
  GenerationRequest generation;
  std::vector<RequestMessage> messages;
  std::vector<RequestTool> tools;
  enum class Choice { none, automatic, required, named };
  Choice choice = Choice::none;
  std::string chosen;  // the named tool
  bool parallel = true;
};

/// A text, or ids of tokens.
using Prompt = std::variant<std::string, std::vector<core::TokenId>>;

struct CompletionRequest {
  GenerationRequest generation;
  std::vector<Prompt> prompts;
  bool echo = false;
};

struct EmbeddingRequest {
  std::string model;
  std::vector<Prompt> inputs;
  bool base64 = false;
  std::optional<std::int64_t> dimensions;
};

ChatRequest decode_chat_request(std::string_view body);
CompletionRequest decode_completion_request(std::string_view body);
EmbeddingRequest decode_embedding_request(std::string_view body);
/// The id of the answer that is to end, of {"id": "chatcmpl-..."}.
std::string decode_cancel_request(std::string_view body);

}  // namespace starling::tools
