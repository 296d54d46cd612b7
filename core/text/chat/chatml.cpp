// ChatML, and what Qwen 2, 2.5 and 3 add to it.
#include <algorithm>

#include "core/text/chat/prompt_writer.h"

namespace starling::core::chat {
namespace {

constexpr std::string_view kThinkEnd = "</think>";

std::string tools_text(const ChatInput& input) {
  std::string text =
      "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
      "You are provided with function signatures within <tools></tools> XML tags:\n<tools>";
  for (const ChatTool& tool : input.tools) text += "\n" + spaced_json(tool_json(tool));
  return text +
         "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n"
         "<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>";
}

std::string call_text(const ToolCall& call) {
  return "<tool_call>\n{\"name\": " + json_text(call.name) + ", \"arguments\": " + spaced_json(arguments_json(call)) + "}\n</tool_call>";
}

PromptWriter& open(PromptWriter& out, std::string_view role) { return out.special("<|im_start|>").text(role); }
void close(PromptWriter& out) { out.special("<|im_end|>").text("\n"); }

void system_turn(PromptWriter& out, const ChatInput& input, const Dialogue& dialogue, const std::string& otherwise) {
  std::string text = dialogue.system ? dialogue.system->content : otherwise;
  if (input.tools.empty() && text.empty() && !dialogue.system) return;
  if (!input.tools.empty()) text += (text.empty() ? "" : "\n\n") + tools_text(input);
  open(out, "system\n").text(text);
  close(out);
}

/// Results of tools go in a turn of the user, those that follow each other in one.
void tool_turn(PromptWriter& out, std::span<const ChatMessage> turns, std::size_t i) {
  if (i == 0 || turns[i - 1].role != "tool") open(out, "user");
  out.text("\n<tool_response>\n" + turns[i].content + "\n</tool_response>");
  if (i + 1 == turns.size() || turns[i + 1].role != "tool") close(out);
}

ChatPrompt dialogue_of(const ChatInput& input, const std::string& otherwise) {
  const Dialogue dialogue = split_system(input);
  PromptWriter out;
  system_turn(out, input, dialogue, otherwise);
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const ChatMessage& m = dialogue.turns[i];
    if (m.role == "tool") {
      tool_turn(out, dialogue.turns, i);
      continue;
    }
    open(out, m.role);
    if (m.tool_calls.empty() || !m.content.empty()) out.text("\n" + m.content);
    for (const ToolCall& call : m.tool_calls) out.text("\n" + call_text(call));
    close(out);
  }
  if (input.generation_prompt) open(out, "assistant\n");
  return out.take();
}

struct Thought {
  std::string reasoning, answer;
};

Thought split_thought(const std::string& content) {
  const std::size_t first = content.find(kThinkEnd);
  if (first == std::string::npos) return {"", content};
  std::string reasoning = content.substr(0, first);
  if (const std::size_t begin = reasoning.rfind("<think>"); begin != std::string::npos) reasoning.erase(0, begin + 7);
  reasoning = without_leading(reasoning, '\n');
  reasoning.erase(reasoning.find_last_not_of('\n') + 1);
  return {reasoning, without_leading(content.substr(content.rfind(kThinkEnd) + kThinkEnd.size()), '\n')};
}

/// What was thought before the last question of the user is left out.
void qwen3_answer(PromptWriter& out, const ChatMessage& m, bool behind_question, bool last) {
  const Thought thought = split_thought(m.content);
  open(out, "assistant\n");
  if (behind_question && (last || !thought.reasoning.empty())) out.text("<think>\n" + thought.reasoning + "\n</think>\n\n");
  out.text(thought.answer);
  bool first = thought.answer.empty();
  for (const ToolCall& call : m.tool_calls) {
    out.text((first ? "" : "\n") + call_text(call));
    first = false;
  }
  close(out);
}

}  // namespace

ChatPrompt chatml(const ChatInput& input) { return dialogue_of(input, ""); }
ChatPrompt qwen2(const ChatInput& input) { return dialogue_of(input, "You are a helpful assistant."); }
ChatPrompt qwen2_5(const ChatInput& input) { return dialogue_of(input, "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."); }

ChatPrompt qwen3(const ChatInput& input) {
  const Dialogue dialogue = split_system(input);
  const std::span<const ChatMessage> turns = dialogue.turns;
  std::size_t question = 0;
  for (std::size_t i = 0; i < turns.size(); ++i)
    if (turns[i].role == "user") question = i;
  PromptWriter out;
  system_turn(out, input, dialogue, "");
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (turns[i].role == "tool") {
      tool_turn(out, turns, i);
    } else if (turns[i].role == "assistant") {
      qwen3_answer(out, turns[i], i > question, i + 1 == turns.size());
    } else {
      open(out, "user\n").text(turns[i].content);
      close(out);
    }
  }
  if (input.generation_prompt) open(out, "assistant\n").text(input.thinking ? "" : "<think>\n\n</think>\n\n");
  return out.take();
}

}  // namespace starling::core::chat
