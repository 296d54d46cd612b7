// Phi-3 and 3.5. Their tokens swallow the white space behind them.
#include "core/text/chat/prompt_writer.h"

namespace starling::core::chat {
namespace {

void turns(PromptWriter& out, const ChatInput& input) {
  check_no_tools(input, "phi-3");
  const Dialogue dialogue = split_system(input);
  const auto turn = [&](const ChatMessage& m) {
    out.special_strip("<|" + m.role + "|>").text("\n" + m.content).special_strip("<|end|>").text("\n");
  };
  if (dialogue.system && !dialogue.system->content.empty()) turn(*dialogue.system);
  for (const ChatMessage& m : dialogue.turns) turn(m);
  if (input.generation_prompt) out.special_strip("<|assistant|>").text("\n");
}

}  // namespace

ChatPrompt phi3(const ChatInput& input) {
  PromptWriter out;
  turns(out, input);
  if (!input.generation_prompt) out.eos("<|endoftext|>");
  return out.take();
}

ChatPrompt phi3_mini(const ChatInput& input) {
  PromptWriter out;
  out.bos("<s>");
  turns(out, input);
  return out.take();
}

}  // namespace starling::core::chat
