// Llama 2, 3 and 3.1. Texts as in the templates that Meta published with the models.
#include "core/error.h"
#include "core/text/chat/prompt_writer.h"

namespace starling::core::chat {

ChatPrompt llama2(const ChatInput& input) {
  check_no_tools(input, "llama-2");
  const Dialogue dialogue = split_system(input);
  check_alternating(dialogue.turns, "llama-2");
  PromptWriter out;
  bool first = true;
  for (const ChatMessage& m : dialogue.turns) {
    if (m.role == "user") {
      const std::string system = first && dialogue.system ? "<<SYS>>\n" + dialogue.system->content + "\n<</SYS>>\n\n" : "";
      out.bos("<s>").text("[INST] " + trimmed(system + m.content) + " [/INST]");
    } else {
      out.text(" " + trimmed(m.content) + " ").eos("</s>");
    }
    first = false;
  }
  return out.take();
}

namespace {

PromptWriter& header(PromptWriter& out, std::string_view role) {
  return out.special("<|start_header_id|>").text(role).special("<|end_header_id|>").text("\n\n");
}

std::string tools_in_front(const ChatInput& input) {
  if (input.tools.empty()) return {};
  std::string text =
      "Given the following functions, please respond with a JSON for a function call with its proper arguments that best answers the given prompt.\n\n"
      "Respond in the format {\"name\": function name, \"parameters\": dictionary of argument name and its value}.Do not use variables.\n\n";
  for (const ChatTool& tool : input.tools) text += json_text(tool_json(tool), 4) + "\n\n";
  return text;
}

void turn(PromptWriter& out, const ChatMessage& m, const std::string& in_front) {
  if (m.role == "tool") {
    header(out, "ipython").text(json_text(m.content)).special("<|eot_id|>");
  } else if (!m.tool_calls.empty()) {
    check(m.tool_calls.size() == 1, Kind::usage, "chat: the template llama-3 has one call of a tool a turn, not {}", m.tool_calls.size());
    OrderedJson call{{"name", m.tool_calls.front().name}};
    call["parameters"] = arguments_json(m.tool_calls.front());
    header(out, "assistant").text(spaced_json(call)).special("<|eot_id|>");
  } else {
    header(out, m.role).text(in_front + trimmed(m.content)).special("<|eot_id|>");
  }
}

ChatPrompt turns(PromptWriter& out, const ChatInput& input, const Dialogue& dialogue) {
  std::string in_front = tools_in_front(input);
  for (const ChatMessage& m : dialogue.turns) {
    turn(out, m, m.role == "user" ? std::exchange(in_front, "") : "");
  }
  if (input.generation_prompt) header(out, "assistant");
  return out.take();
}

}  // namespace

ChatPrompt llama3(const ChatInput& input) {
  const Dialogue dialogue = split_system(input);
  PromptWriter out;
  out.bos("<|begin_of_text|>");
  if (dialogue.system) header(out, "system").text(trimmed(dialogue.system->content)).special("<|eot_id|>");
  return turns(out, input, dialogue);
}

ChatPrompt llama3_1(const ChatInput& input) {
  const Dialogue dialogue = split_system(input);
  PromptWriter out;
  out.bos("<|begin_of_text|>");
  header(out, "system").text(input.tools.empty() ? "" : "Environment: ipython\n");
  out.text("Cutting Knowledge Date: December 2023\nToday Date: " + (input.date.empty() ? "26 Jul 2024" : input.date) + "\n\n");
  out.text(dialogue.system ? trimmed(dialogue.system->content) : "").special("<|eot_id|>");
  return turns(out, input, dialogue);
}

}  // namespace starling::core::chat
