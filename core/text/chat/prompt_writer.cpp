#include "core/text/chat/prompt_writer.h"

#include <algorithm>

#include "core/error.h"
#include "core/text/utf8.h"

namespace starling::core {
namespace {

constexpr int kJsonLevelsMax = 64;

/// What Python's str.isspace() says.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

void write_spaced(const OrderedJson& value, std::string& out) {
  if (!value.is_structured()) {
    out += json_text(value);
    return;
  }
  out += value.is_object() ? '{' : '[';
  bool first = true;
  for (const auto& [key, member] : value.items()) {
    if (!first) out += ", ";
    first = false;
    if (value.is_object()) out += json_text(key) + ": ";
    write_spaced(member, out);
  }
  out += value.is_object() ? '}' : ']';
}

OrderedJson parse_object(const std::string& text, const std::string& what) {
  const OrderedJson value = parse_json(text);
  check(value.is_object(), Kind::malformed, "{} is not a JSON object", what);
  return value;
}

}  // namespace

PromptWriter& PromptWriter::text(std::string_view text) {
  if (text.empty()) return *this;
  if (!prompt_.empty() && prompt_.back().kind == ChatPiece::Kind::text) {
    prompt_.back().text += text;
    return *this;
  }
  return add(ChatPiece::Kind::text, text);
}

PromptWriter& PromptWriter::add(ChatPiece::Kind kind, std::string_view text) {
  prompt_.push_back({kind, std::string(text)});
  return *this;
}

std::string trimmed(std::string_view text) {
  std::size_t begin = text.size(), end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Character c = decode_utf8(text, at);
    const std::size_t next = at + std::max<std::size_t>(c.length, 1);
    if (c.length == 0 || !is_space(c.code_point)) {
      begin = std::min(begin, at);
      end = next;
    }
    at = next;
  }
  return std::string(text.substr(begin, end - std::min(begin, end)));
}

std::string without_leading(std::string_view text, char c) { return std::string(text.substr(std::min(text.find_first_not_of(c), text.size()))); }

Dialogue split_system(const ChatInput& input) {
  Dialogue dialogue{.system = nullptr, .turns = input.messages};
  check(!input.messages.empty(), Kind::usage, "chat: no message");
  if (input.messages.front().role == "system") {
    dialogue.system = &input.messages.front();
    dialogue.turns = dialogue.turns.subspan(1);
  }
  for (const ChatMessage& m : dialogue.turns)
    check(m.role == "user" || m.role == "assistant" || m.role == "tool", Kind::usage, "chat: role {}{}", m.role,
          m.role == "system" ? " is only allowed in front" : " is unknown; known are system, user, assistant and tool");
  return dialogue;
}

void check_alternating(std::span<const ChatMessage> turns, std::string_view name) {
  std::string_view expected = "user";
  for (const ChatMessage& m : turns) {
    if (m.role == "tool" || !m.tool_calls.empty()) continue;
    check(m.role == expected, Kind::usage, "chat: the template {} wants user and assistant in turns, and {} where {} is", name, expected, m.role);
    expected = expected == "user" ? "assistant" : "user";
  }
}

void check_no_tools(const ChatInput& input, std::string_view name) {
  const bool tools = !input.tools.empty() || std::any_of(input.messages.begin(), input.messages.end(), [](const ChatMessage& m) {
    return m.role == "tool" || !m.tool_calls.empty();
  });
  check(!tools, Kind::usage, "chat: the template {} has no form for tools", name);
}

OrderedJson parse_json(std::string_view text) {
  bool deep = false;
  const auto bounded = [&deep](int level, OrderedJson::parse_event_t, OrderedJson&) { return !(deep = deep || level > kJsonLevelsMax); };
  OrderedJson value = OrderedJson::parse(text, bounded, false);
  return deep ? OrderedJson(OrderedJson::value_t::discarded) : value;
}

std::string json_text(const OrderedJson& value, int indent) { return value.dump(indent, ' ', false, OrderedJson::error_handler_t::replace); }

std::string spaced_json(const OrderedJson& value) {
  std::string out;
  write_spaced(value, out);
  return out;
}

OrderedJson tool_json(const ChatTool& tool) {
  OrderedJson function{{"name", tool.name}};
  if (!tool.description.empty()) function["description"] = tool.description;
  function["parameters"] = parse_object(tool.parameters.empty() ? "{}" : tool.parameters, "chat: the parameters of tool " + tool.name);
  OrderedJson wrapped{{"type", "function"}};
  wrapped["function"] = function;
  return wrapped;
}

OrderedJson arguments_json(const ToolCall& call) { return parse_object(call.arguments.empty() ? "{}" : call.arguments, "chat: the arguments of a call of " + call.name); }

}  // namespace starling::core
