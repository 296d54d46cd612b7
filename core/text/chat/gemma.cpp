// Gemma 1 to 3. A system text goes in front of the first question, as Gemma 3 does it; the earlier ones have no form for it.
#include "core/text/chat/prompt_writer.h"

namespace starling::core::chat {

ChatPrompt gemma(const ChatInput& input) {
  check_no_tools(input, "gemma");
  const Dialogue dialogue = split_system(input);
  check_alternating(dialogue.turns, "gemma");
  PromptWriter out;
  out.bos("<bos>");
  std::string in_front = dialogue.system ? dialogue.system->content + "\n\n" : "";
  for (const ChatMessage& m : dialogue.turns) {
    out.special("<start_of_turn>").text(m.role == "user" ? "user\n" : "model\n");
    out.text(std::exchange(in_front, "") + trimmed(m.content)).special("<end_of_turn>").text("\n");
  }
  if (input.generation_prompt) out.special("<start_of_turn>").text("model\n");
  return out.take();
}

}  // namespace starling::core::chat
