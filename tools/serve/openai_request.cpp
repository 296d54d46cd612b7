#include "tools/serve/openai_request.h"

#include <algorithm>

#include "tools/serve/openai_generation.h"

namespace starling::tools {
namespace {

constexpr std::size_t kMessages = 16384, kParts = 4096, kTools = 128, kNameBytes = 64;
constexpr std::size_t kPrompts = 256, kInputs = 2048;  // of completions; of embeddings, as many as OpenAI takes
constexpr std::int64_t kTokensMax = std::int64_t{1} << 24;

/// A string, or parts that are all text. Nullopt when absent.
std::optional<std::string> decode_content(const JsonFields& message) {
  const Json* value = message.find("content");
  if (!value) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  std::string text;
  std::size_t index = 0;
  for (const Json& part : *message.array("content", kParts)) {
    const JsonFields entry(part, fmt::format("{}[{}]", message.path("content"), index++));
    const std::string type = entry.required_text("type");
    if (type != "text") throw invalid(entry.path("type"), fmt::format("{}: '{}': this server reads text only", entry.path("type"), type.substr(0, 40)));
    text += entry.required_text("text");
  }
  return text;
}

std::string decode_name(const JsonFields& function) {
  std::string name = function.required_text("name");
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
  if (name.empty() || name.size() > kNameBytes || !plain)
    throw invalid(function.path("name"), fmt::format("{}: expected 1 to {} letters, digits, _ and -", function.path("name"), kNameBytes));
  return name;
}

std::vector<RequestToolCall> decode_tool_calls(const JsonFields& message) {
  std::vector<RequestToolCall> calls;
  const Json* list = message.array("tool_calls", kTools);
  if (!list) return calls;
  for (const Json& call : *list) {
    const JsonFields entry(call, fmt::format("{}[{}]", message.path("tool_calls"), calls.size()));
    const JsonFields function(entry.required("function"), entry.path("function"));
    calls.push_back({entry.required_text("id"), decode_name(function), function.required_text("arguments")});
  }
  return calls;
}

RequestMessage decode_message(const JsonFields& fields) {
  RequestMessage message;
  message.role = fields.required_text("role");
  if (message.role == "developer") message.role = "system";
  const bool assistant = message.role == "assistant", tool = message.role == "tool";
  if (!assistant && !tool && message.role != "system" && message.role != "user")
    throw invalid(fields.path("role"), fmt::format("{}: '{}' is none of developer, system, user, assistant and tool", fields.path("role"), message.role.substr(0, 40)));
  if (assistant) message.tool_calls = decode_tool_calls(fields);
  if (tool) message.tool_call_id = fields.required_text("tool_call_id");
  const auto content = decode_content(fields);
  if (!content && message.tool_calls.empty())
    throw invalid(fields.path("content"), fields.path("content") + " is missing");
  message.content = content.value_or("");
  return message;
}

std::vector<RequestTool> decode_tools(const JsonFields& fields) {
  std::vector<RequestTool> tools;
  const Json* list = fields.array("tools", kTools);
  if (!list) return tools;
  for (const Json& tool : *list) {
    const JsonFields entry(tool, fmt::format("tools[{}]", tools.size()));
    if (entry.required_text("type") != "function") throw invalid(entry.path("type"), entry.path("type") + ": expected function");
    const JsonFields function(entry.required("function"), entry.path("function"));
    RequestTool decoded{decode_name(function), function.text("description").value_or(""), "{}"};
    function.boolean("strict");
    if (const Json* parameters = function.find("parameters")) {
      const JsonFields is_object(*parameters, function.path("parameters"));
      decoded.parameters = parameters->dump();
    }
    const bool known = std::any_of(tools.begin(), tools.end(), [&](const RequestTool& t) { return t.name == decoded.name; });
    if (known) throw invalid(function.path("name"), fmt::format("{}: two tools are called {}", function.path("name"), decoded.name));
    tools.push_back(std::move(decoded));
  }
  return tools;
}

void decode_tool_choice(const JsonFields& fields, ChatRequest& chat) {
  using Choice = ChatRequest::Choice;
  const Json* value = fields.find("tool_choice");
  chat.choice = chat.tools.empty() ? Choice::none : Choice::automatic;
  if (!value) return;
  if (value->is_object()) {
    const JsonFields entry(*value, "tool_choice");
    if (entry.required_text("type") != "function") throw invalid("tool_choice.type", "tool_choice.type: expected function");
    chat.chosen = decode_name(JsonFields(entry.required("function"), "tool_choice.function"));
    chat.choice = Choice::named;
    const bool known = std::any_of(chat.tools.begin(), chat.tools.end(), [&](const RequestTool& t) { return t.name == chat.chosen; });
    if (!known) throw invalid("tool_choice", fmt::format("tool_choice: no tool is called {}", chat.chosen));
    return;
  }
  const std::string word = *fields.text("tool_choice");
  if (word == "none") chat.choice = Choice::none;
  else if (word == "required") chat.choice = Choice::required;
  else if (word != "auto") throw invalid("tool_choice", "tool_choice: expected none, auto, required or a function");
  if (word == "required" && chat.tools.empty()) throw invalid("tool_choice", "tool_choice: required, but there are no tools");
}

}  // namespace

ChatRequest decode_chat_request(std::string_view body) {
  const Json json = parse_object(body);
  const JsonFields fields(json, "");
  ChatRequest chat;
  chat.generation = decode_generation(fields);
  const auto tokens = fields.integer("max_tokens", 1, kTokensMax);
  chat.generation.tokens = fields.integer("max_completion_tokens", 1, kTokensMax);
  if (!chat.generation.tokens) chat.generation.tokens = tokens;
  const auto top = fields.integer("top_logprobs", 0, 20);
  const bool logprobs = fields.boolean("logprobs").value_or(false);
  if (top && !logprobs) throw invalid("top_logprobs", "top_logprobs: only with logprobs");
  if (logprobs) chat.generation.logprobs = static_cast<int>(top.value_or(0));

  fields.required("messages");
  const Json* messages = fields.array("messages", kMessages);
  if (messages->empty()) throw invalid("messages", "messages: expected at least one");
  for (const Json& message : *messages)
    chat.messages.push_back(decode_message(JsonFields(message, fmt::format("messages[{}]", chat.messages.size()))));
  chat.tools = decode_tools(fields);
  decode_tool_choice(fields, chat);
  chat.parallel = fields.boolean("parallel_tool_calls").value_or(true);
  const bool forced = chat.choice == ChatRequest::Choice::required || chat.choice == ChatRequest::Choice::named;
  if (forced && chat.generation.format.kind != OutputFormat::Kind::text)
    throw invalid("tool_choice", "tool_choice: an answer that must be a call cannot have another format too");
  return chat;
}

CompletionRequest decode_completion_request(std::string_view body) {
  const Json json = parse_object(body);
  const JsonFields fields(json, "");
  CompletionRequest completion;
  GenerationRequest& g = completion.generation;
  g = decode_generation(fields);
  g.tokens = fields.integer("max_tokens", 0, kTokensMax).value_or(16);
  if (const auto top = fields.integer("logprobs", 0, 5)) g.logprobs = static_cast<int>(*top);
  completion.prompts = decode_prompts(fields, "prompt", kPrompts);
  completion.echo = fields.boolean("echo").value_or(false);
  if (completion.echo && g.logprobs) throw invalid("echo", "echo: this server tells no logprobs of the prompt");
  if (!fields.text("suffix").value_or("").empty()) throw invalid("suffix", "suffix: this server writes continuations only");
  if (fields.integer("best_of", 1, 128).value_or(g.choices) != g.choices)
    throw invalid("best_of", "best_of: this server returns every choice that it makes, so best_of must be n");
  return completion;
}

EmbeddingRequest decode_embedding_request(std::string_view body) {
  const Json json = parse_object(body);
  const JsonFields fields(json, "");
  EmbeddingRequest embedding;
  embedding.model = fields.text("model").value_or("");
  embedding.inputs = decode_prompts(fields, "input", kInputs);
  const std::string encoding = fields.text("encoding_format").value_or("float");
  if (encoding != "float" && encoding != "base64")
    throw invalid("encoding_format", "encoding_format: expected float or base64");
  embedding.base64 = encoding == "base64";
  embedding.dimensions = fields.integer("dimensions", 1, 1 << 20);
  fields.text("user");
  return embedding;
}

std::string decode_cancel_request(std::string_view body) {
  const Json json = parse_object(body);
  const auto id = JsonFields(json, "").text("id");
  if (!id) throw invalid("id", "id: expected the id of a completion");
  return *id;
}

}  // namespace starling::tools
