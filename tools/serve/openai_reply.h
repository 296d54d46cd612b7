// What the OpenAI API answers, as JSON: pure functions of what was generated.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tools/serve/json_fields.h"

namespace starling::tools {

/// A token's text (its bytes, perhaps part of a character) and log-probability, with the likeliest ones beside it.
struct TokenLogprob {
  std::string token;
  double logprob = 0;
  std::vector<std::pair<std::string, double>> top;
};

/// A piece of a call that the model makes: the id and the name come first, with an empty `arguments`.
struct ToolCallPiece {
  int index = 0;
  std::string id, name;
  std::string arguments;
};

struct Usage {
  std::int64_t prompt = 0, completion = 0, cached = 0;
};

/// What one choice wrote, whole or since the last chunk.
struct Written {
  std::string text;
  std::vector<ToolCallPiece> calls;
  std::vector<TokenLogprob> logprobs;
};

struct FinishedChoice {
  Written written;  // calls are whole: one piece each
  std::string reason;  // stop, length or tool_calls
};

/// What all chunks of an answer have in common.
struct ReplyHead {
  std::string id;
  std::int64_t created = 0;
  std::string model;
  bool logprobs = false;       // asked for
  bool include_usage = false;  // of a stream
};

Json chat_reply(const ReplyHead& head, std::span<const FinishedChoice> choices, const Usage& usage);
Json completion_reply(const ReplyHead& head, std::span<const FinishedChoice> choices, const Usage& usage);

/// The first chunk of a choice, which says who speaks.
Json chat_first_chunk(const ReplyHead& head, int index);
Json chat_chunk(const ReplyHead& head, int index, const Written& written);
Json chat_last_chunk(const ReplyHead& head, int index, const std::string& reason);
/// `offset`: characters of the choice so far, for logprobs. An empty reason is null.
Json completion_chunk(const ReplyHead& head, int index, const Written& written, std::int64_t offset, const std::string& reason);
/// The chunk after the last; `object` as in the others.
Json usage_chunk(const ReplyHead& head, const char* object, const Usage& usage);

Json embedding_reply(const std::string& model, std::span<const std::vector<float>> vectors, bool base64, std::int64_t tokens);
Json model_entry(const std::string& name, std::int64_t created);
Json model_list(std::vector<Json> entries);

inline constexpr const char* kChatChunk = "chat.completion.chunk";
inline constexpr const char* kCompletion = "text_completion";

/// One line; bytes that are no UTF-8 become U+FFFD.
std::string dump(const Json& json);

}  // namespace starling::tools
