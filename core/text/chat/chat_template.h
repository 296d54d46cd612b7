// Dialogues as the prompts that models were trained on. A template is code here, not a program inside a model file: the
// file's template text only tells which one it is. Its output keeps apart what is a special token and what is text, so
// that nothing a user writes becomes a control token.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/chat/tool_calls.h"
#include "core/text/tokenizer.h"

namespace starling::core {

struct ChatMessage {
  std::string role;  // system, user, assistant or tool
  std::string content;
  std::vector<ToolCall> tool_calls;  // assistant
  std::string tool_call_id;          // tool
};

struct ChatInput {
  std::vector<ChatMessage> messages;
  std::vector<ChatTool> tools;
  bool generation_prompt = true;  // end with the beginning of the assistant's turn
  bool thinking = true;           // false: models that think before they answer are told not to
  std::string date;               // "26 Jul 2024"; used by templates that tell the date
};

struct ChatPiece {
  enum class Kind { text, special, special_strip, bos, eos };  // special_strip: swallows white space behind it
  Kind kind;
  std::string text;
};
using ChatPrompt = std::vector<ChatPiece>;

struct ChatTemplate {
  std::string_view name, summary;
  ToolCallStyle calls;
  /// Kind::usage for a dialogue that the template does not allow: roles that do not alternate, tools it has no form for.
  ChatPrompt (*render)(const ChatInput& input);
};

std::span<const ChatTemplate> chat_templates();
/// Kind::usage with the list of known names.
const ChatTemplate& chat_template(std::string_view name);
/// Which template the text of a model file is. Kind::unsupported when it is none of the known ones, or empty.
const ChatTemplate& detect_chat_template(std::string_view text);

/// The prompt as one text, special tokens spelled out.
std::string to_text(const ChatPrompt& prompt);

/// Prompts to ids, as one pass over the whole text gives them for texts without special tokens in them. A special token
/// that the vocabulary lacks is encoded as text. The tokenizer must outlive this object; several threads may use it.
class ChatEncoder {
 public:
  explicit ChatEncoder(const Tokenizer& tokenizer);
  std::vector<TokenId> encode(const ChatPrompt& prompt) const;

 private:
  TokenId special(const ChatPiece& piece) const;  // -1: none

  const Tokenizer& tokenizer_;
  std::unordered_map<std::string_view, TokenId> ids_;
};

}  // namespace starling::core
