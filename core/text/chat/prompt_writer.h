// What the families of chat templates share: appending pieces, and rules about roles.
#pragma once

#include "core/text/chat/chat_template.h"

namespace starling::core {

class PromptWriter {
 public:
  PromptWriter& text(std::string_view text);
  PromptWriter& special(std::string_view token) { return add(ChatPiece::Kind::special, token); }
  PromptWriter& special_strip(std::string_view token) { return add(ChatPiece::Kind::special_strip, token); }
  PromptWriter& bos(std::string_view token) { return add(ChatPiece::Kind::bos, token); }
  PromptWriter& eos(std::string_view token) { return add(ChatPiece::Kind::eos, token); }
  ChatPrompt take() { return std::move(prompt_); }

 private:
  PromptWriter& add(ChatPiece::Kind kind, std::string_view text);
  ChatPrompt prompt_;
};

/// Without white space at both ends, of Unicode too, as Python's strip() and Jinja's trim do it.
std::string trimmed(std::string_view text);
std::string without_leading(std::string_view text, char c);

/// The system message at the front, if there is one, and the messages behind it.
struct Dialogue {
  const ChatMessage* system = nullptr;
  std::span<const ChatMessage> turns;
};
/// Kind::usage for an unknown role, a system message elsewhere than in front, or no message.
Dialogue split_system(const ChatInput& input);
/// Kind::usage unless user and assistant alternate from the user on; tool messages and calls of tools are passed over.
void check_alternating(std::span<const ChatMessage> turns, std::string_view name);
/// Kind::usage when the input has tools, calls of tools or their results.
void check_no_tools(const ChatInput& input, std::string_view name);

/// `text` as JSON; discarded when it is none, or has more than 64 levels, which what walks it by recursion could not bear.
OrderedJson parse_json(std::string_view text);
/// `value` as JSON text, on one line or indented; bytes that are no UTF-8 become U+FFFD.
std::string json_text(const OrderedJson& value, int indent = -1);
/// JSON as Python's json.dumps writes it: a space behind commas and colons.
std::string spaced_json(const OrderedJson& value);
/// {"type": "function", "function": {...}}.
OrderedJson tool_json(const ChatTool& tool);
/// The arguments of a call, an object. Kind::malformed when they are none.
OrderedJson arguments_json(const ToolCall& call);

}  // namespace starling::core
