// Mistral's templates v1 to v7. [INST] is plain text in v1 and a token from v3 on; the Tekken tokenizers have no spaces
// behind their tokens; the system text stands in front of the first (v1) or last (v3) question, and has tokens of its own
// from v7 on.
#include <algorithm>

#include "core/text/chat/prompt_writer.h"

namespace starling::core::chat {
namespace {

struct Form {
  std::string_view name, space;
  bool system_token;
};

std::size_t last_user(std::span<const ChatMessage> turns) {
  std::size_t last = 0;
  for (std::size_t i = 0; i < turns.size(); ++i)
    if (turns[i].role == "user") last = i;
  return last;
}

std::string calls_text(const ChatMessage& m) {
  OrderedJson calls = OrderedJson::array();
  for (const ToolCall& call : m.tool_calls) {
    OrderedJson entry{{"name", call.name}};
    entry["arguments"] = arguments_json(call);
    entry["id"] = call.id;
    calls.push_back(entry);
  }
  return spaced_json(calls);
}

void tool_result(PromptWriter& out, const ChatMessage& m, const Form& form) {
  const std::string space(form.space);
  out.special("[TOOL_RESULTS]");
  if (form.system_token) {
    out.text(space + m.tool_call_id).special("[TOOL_CONTENT]").text(space + m.content);
  } else {
    // A result that is JSON is shown as such.
    const OrderedJson value = parse_json(m.content);
    OrderedJson result;
    result["content"] = value.is_discarded() ? OrderedJson(m.content) : value;
    result["call_id"] = m.tool_call_id;
    out.text(space + spaced_json(result));
  }
  out.special("[/TOOL_RESULTS]");
}

ChatPrompt with_tokens(const ChatInput& input, const Form& form) {
  const Dialogue dialogue = split_system(input);
  check_alternating(dialogue.turns, form.name);
  const std::string space(form.space), system = dialogue.system ? dialogue.system->content : "";
  const std::size_t last = last_user(dialogue.turns);
  PromptWriter out;
  out.bos("<s>");
  if (form.system_token && dialogue.system) out.special("[SYSTEM_PROMPT]").text(space + system).special("[/SYSTEM_PROMPT]");
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const ChatMessage& m = dialogue.turns[i];
    if (m.role == "user") {
      if (i == last && !input.tools.empty()) {
        OrderedJson tools = OrderedJson::array();
        for (const ChatTool& tool : input.tools) tools.push_back(tool_json(tool));
        out.special("[AVAILABLE_TOOLS]").text(space + spaced_json(tools)).special("[/AVAILABLE_TOOLS]");
      }
      const bool with_system = i == last && dialogue.system && !form.system_token;
      out.special("[INST]").text(space + (with_system ? system + "\n\n" : "") + m.content).special("[/INST]");
    } else if (m.role == "tool") {
      tool_result(out, m, form);
    } else if (!m.tool_calls.empty()) {
      out.special("[TOOL_CALLS]").text(space + calls_text(m)).eos("</s>");
    } else {
      out.text(space + (space.empty() || form.system_token ? m.content : trimmed(m.content))).eos("</s>");
    }
  }
  return out.take();
}

}  // namespace

ChatPrompt mistral_v1(const ChatInput& input) {
  check_no_tools(input, "mistral-v1");
  const Dialogue dialogue = split_system(input);
  check_alternating(dialogue.turns, "mistral-v1");
  PromptWriter out;
  out.bos("<s>");
  std::string system = dialogue.system ? dialogue.system->content + "\n\n" : "";
  for (const ChatMessage& m : dialogue.turns) {
    if (m.role == "user")
      out.text(" [INST] " + std::exchange(system, "") + m.content + " [/INST]");
    else
      out.text(" " + m.content).eos("</s>");
  }
  return out.take();
}

ChatPrompt mistral_v3(const ChatInput& input) { return with_tokens(input, {"mistral-v3", " ", false}); }
ChatPrompt mistral_v3_tekken(const ChatInput& input) { return with_tokens(input, {"mistral-v3-tekken", "", false}); }
ChatPrompt mistral_v7(const ChatInput& input) { return with_tokens(input, {"mistral-v7", " ", true}); }
ChatPrompt mistral_v7_tekken(const ChatInput& input) { return with_tokens(input, {"mistral-v7-tekken", "", true}); }

}  // namespace starling::core::chat
