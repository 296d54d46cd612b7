// Calls of tools in what a model writes: found while the text streams, and as a grammar that leaves nothing else to write.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/text/grammar/json_schema.h"

namespace starling::core {

struct ToolCall {
  std::string id;  // given by whoever answers the model
  std::string name;
  std::string arguments;  // a JSON object
  friend bool operator==(const ToolCall&, const ToolCall&) = default;
};

struct ChatTool {
  std::string name, description;
  std::string parameters;  // a JSON schema; empty: "{}"
};

enum class ToolCallStyle {
  none,
  hermes,       // <tool_call>\n{"name": ..., "arguments": ...}\n</tool_call>, among text
  llama3_json,  // {"name": ..., "parameters": ...} as the whole answer; several separated by ';'
  mistral,      // [TOOL_CALLS][{"name": ..., "arguments": ...}, ...] as the whole answer; the token itself renders empty
};

/// Cuts a streamed answer into text and calls. What may still become a call is held back; what turns out not to be one
/// is text after all.
class ToolCallParser {
 public:
  explicit ToolCallParser(ToolCallStyle style) : style_(style) {}

  struct Output {
    std::string text;
    std::vector<ToolCall> calls;  // without ids
  };
  Output push(std::string_view text);
  Output finish();

 private:
  void push_hermes(Output& out);
  void push_whole(Output& out);
  /// Text goes out, white space before a call does not.
  void release(std::string_view text, Output& out);

  ToolCallStyle style_;
  std::string held_, space_;
  bool inside_ = false, plain_ = false, called_ = false;
};

/// A grammar of one call of one of `tools` (several, when `parallel`) in this style, for answers that must be calls.
/// Kind::unsupported for ToolCallStyle::none and for parameters that no grammar can say.
std::string tool_call_grammar(ToolCallStyle style, const std::vector<ChatTool>& tools, bool parallel);

}  // namespace starling::core
