// /v1/chat/completions: a dialogue becomes a prompt by the model's template, and calls of tools are found in the answer.
#include <ctime>

#include "tools/serve/api.h"
#include "tools/serve/chat_input.h"
#include "tools/serve/generation.h"

namespace starling::tools {
namespace {

using Choice = ChatRequest::Choice;

/// The grammar of the calls that the request insists on; empty when it does not.
std::string forced_calls(const ChatRequest& request, core::ToolCallStyle style) {
  if (request.choice != Choice::required && request.choice != Choice::named) return "";
  std::vector<core::ChatTool> tools;
  for (const RequestTool& tool : request.tools)
    if (request.choice == Choice::required || tool.name == request.chosen) tools.push_back({tool.name, tool.description, tool.parameters});
  try {
    return core::tool_call_grammar(style, tools, request.parallel && request.choice == Choice::required);
  } catch (const core::Error& error) {
    throw invalid("tools", error.what());
  }
}

core::ChatInput chat_input(const ChatRequest& request) {
  core::ChatInput input;
  for (const RequestMessage& message : request.messages) {
    core::ChatMessage taken{message.role, message.content, {}, message.tool_call_id};
    for (const RequestToolCall& call : message.tool_calls) taken.tool_calls.push_back({call.id, call.name, call.arguments});
    input.messages.push_back(std::move(taken));
  }
  if (request.choice != Choice::none)
    for (const RequestTool& tool : request.tools) input.tools.push_back({tool.name, tool.description, tool.parameters});
  input.date = today();
  return input;
}

}  // namespace

void Api::chat(const ChatRequest& request, const std::shared_ptr<Exchange>& exchange) {
  const GenerationRequest& g = request.generation;
  check_writer(g.model);
  const core::ToolCallStyle style = model().chat_template().calls;
  const std::string forced = forced_calls(request, style);
  const auto grammar = answer_grammar(g.format, forced);
  GenerationJob job;
  try {
    job.prompts.push_back(model().encode_chat(chat_input(request)));
  } catch (const core::Error& error) {
    throw invalid("messages", error.what());
  }
  const std::size_t tokens = job.prompts.back().size();
  check_room(model(), tokens, "messages");
  const std::uint64_t seed = random_seed();
  for (int choice = 0; choice < g.choices; ++choice) {
    job.settings.push_back(session_settings(model(), g, tokens, seed, choice));
    job.settings.back().grammar = grammar;
    job.settings.back().trie = model().trie();
  }
  job.answer.kind = Answer::Kind::chat;
  job.answer.head = {new_id("chatcmpl-"), seconds_since_1970(), model().name(), g.logprobs.has_value(), g.include_usage};
  job.answer.choices = g.choices;
  job.answer.stream = g.stream;
  job.answer.prompt_tokens = static_cast<std::int64_t>(tokens);
  if (request.choice != Choice::none) job.answer.calls = style;
  generations_.start(model(), *served_.metrics, std::move(job), exchange);
}

}  // namespace starling::tools
