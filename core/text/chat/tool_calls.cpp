#include "core/text/chat/tool_calls.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/text/chat/prompt_writer.h"

namespace starling::core {
namespace {

constexpr std::string_view kOpen = "<tool_call>", kClose = "</tool_call>", kMistral = "[TOOL_CALLS]", kCallSpace = " \t\n\r";
// An answer longer than this holds no call.
constexpr std::size_t kHeldMax = std::size_t{1} << 20;

/// How many bytes at the end of `text` are the beginning of `marker`.
std::size_t partial(std::string_view text, std::string_view marker) {
  for (std::size_t n = std::min(text.size(), marker.size() - 1); n > 0; --n)
    if (text.ends_with(marker.substr(0, n))) return n;
  return 0;
}

std::optional<ToolCall> call_of(const OrderedJson& value) {
  if (!value.is_object() || !value.contains("name") || !value["name"].is_string()) return std::nullopt;
  ToolCall call{.id = "", .name = value["name"].get<std::string>(), .arguments = "{}"};
  for (const char* key : {"arguments", "parameters"}) {
    if (!value.contains(key)) continue;
    const OrderedJson& arguments = value[key];
    if (arguments.is_object()) call.arguments = spaced_json(arguments);
    // Some models write the arguments as a string of JSON.
    else if (arguments.is_string() && !parse_json(arguments.get<std::string>()).is_discarded()) call.arguments = arguments.get<std::string>();
    else return std::nullopt;
  }
  return call;
}

/// The calls of a whole answer, none when anything in it is no call.
std::vector<ToolCall> calls_of(std::string_view text, ToolCallStyle style) {
  std::vector<ToolCall> calls;
  if (style == ToolCallStyle::mistral && text.starts_with(kMistral)) text.remove_prefix(kMistral.size());
  OrderedJson list = parse_json(text);
  if (list.is_discarded() && style == ToolCallStyle::llama3_json) {
    std::string joined = "[" + std::string(text) + "]";
    for (std::size_t at = 0; (at = joined.find("};", at)) != std::string::npos; ++at) joined[at + 1] = ',';
    list = parse_json(joined);
  }
  if (list.is_object()) list = OrderedJson::array({list});
  if (!list.is_array()) return {};
  for (const OrderedJson& entry : list) {
    const std::optional<ToolCall> call = call_of(entry);
    if (!call) return {};
    calls.push_back(*call);
  }
  return calls;
}

}  // namespace

void ToolCallParser::release(std::string_view text, Output& out) {
  const std::size_t end = text.find_last_not_of(kCallSpace);
  if (end == std::string_view::npos) {
    space_ += text;
    return;
  }
  const std::string whole = space_ + std::string(text.substr(0, end + 1));
  space_ = text.substr(end + 1);
  out.text += called_ && !plain_ ? without_leading(whole, '\n') : whole;
  plain_ = true;
}

void ToolCallParser::push_hermes(Output& out) {
  while (true) {
    const std::string_view marker = inside_ ? kClose : kOpen;
    const std::size_t at = held_.find(marker);
    if (at == std::string::npos) break;
    const std::string before = held_.substr(0, at);
    held_.erase(0, at + marker.size());
    if (!inside_) {
      release(before, out);
    } else if (const auto call = call_of(parse_json(before))) {
      out.calls.push_back(*call);
      space_.clear();
      called_ = true;
      plain_ = false;
    } else {
      release(std::string(kOpen) + before + std::string(kClose), out);
    }
    inside_ = !inside_;
  }
  if (inside_) return;
  const std::size_t keep = partial(held_, kOpen);
  release(std::string_view(held_).substr(0, held_.size() - keep), out);
  held_.erase(0, held_.size() - keep);
}

void ToolCallParser::push_whole(Output& out) {
  const std::size_t begin = held_.find_first_not_of(kCallSpace);
  if (begin == std::string::npos) return;
  const bool may_be = style_ == ToolCallStyle::llama3_json ? held_[begin] == '{' : held_[begin] == '[';
  if (may_be && held_.size() <= kHeldMax) return;
  plain_ = true;
  out.text += std::exchange(held_, {});
}

ToolCallParser::Output ToolCallParser::push(std::string_view text) {
  Output out;
  if (style_ == ToolCallStyle::none || (style_ != ToolCallStyle::hermes && plain_)) {
    out.text = text;
    return out;
  }
  held_ += text;
  style_ == ToolCallStyle::hermes ? push_hermes(out) : push_whole(out);
  return out;
}

ToolCallParser::Output ToolCallParser::finish() {
  Output out;
  if (style_ == ToolCallStyle::hermes) {
    // A call whose end is missing, as when the length was reached, may still be whole.
    const std::optional<ToolCall> call = inside_ ? call_of(parse_json(held_)) : std::nullopt;
    if (call) {
      out.calls.push_back(*call);
    } else {
      if (inside_ || !held_.empty()) release((inside_ ? std::string(kOpen) : "") + held_, out);
      if (!called_ || plain_) out.text += space_;
    }
  } else {
    out.calls = calls_of(std::string_view(held_).substr(std::min(held_.find_first_not_of(kCallSpace), held_.size())), style_);
    if (out.calls.empty()) out.text = held_;
  }
  held_.clear();
  space_.clear();
  return out;
}

std::string tool_call_grammar(ToolCallStyle style, const std::vector<ChatTool>& tools, bool parallel) {
  check(style != ToolCallStyle::none, Kind::unsupported, "chat: this model's template has no form for calls of tools");
  check(!tools.empty(), Kind::usage, "chat: no tool to call");
  JsonSchemaGrammar grammar;
  std::vector<std::string> calls;
  for (const ChatTool& tool : tools) {
    OrderedJson schema = parse_json(tool.parameters.empty() ? "{}" : tool.parameters);
    check(schema.is_object(), Kind::malformed, "chat: the parameters of tool {} are not a JSON object", tool.name);
    if (!schema.contains("type") && !schema.contains("$ref")) schema["type"] = "object";
    const std::string name = json_text(tool.name);
    const bool llama = style == ToolCallStyle::llama3_json;
    calls.push_back(grammar_literal("{\"name\": " + name + (llama ? ", \"parameters\": " : ", \"arguments\": ")) + " " + grammar.add(schema) + " \"}\"");
  }
  const std::string call = fmt::format("({})", fmt::join(calls, " | "));
  if (style == ToolCallStyle::llama3_json) return grammar.text(call);
  if (style == ToolCallStyle::mistral) return grammar.text("\"[\" " + call + (parallel ? " (\", \" " + call + ")*" : "") + " \"]\"");
  const std::string wrapped = grammar_literal(std::string(kOpen) + "\n") + " " + call + " " + grammar_literal("\n" + std::string(kClose));
  return grammar.text(wrapped + (parallel ? " (\"\\n\" " + wrapped + ")*" : ""));
}

}  // namespace starling::core
