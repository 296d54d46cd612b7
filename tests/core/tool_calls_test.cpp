// Calls of tools found in streamed answers, whatever pieces they come in; and answers that a grammar makes calls.
#include "core/text/chat/tool_calls.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/core/random_schema.h"

using namespace starling;
using core::ToolCall;
using core::ToolCallParser;
using core::ToolCallStyle;

namespace {

struct Parsed {
  std::string text;
  std::vector<ToolCall> calls;
};

Parsed parse(ToolCallStyle style, const std::string& answer, std::size_t piece) {
  ToolCallParser parser(style);
  Parsed parsed;
  const auto take = [&](const ToolCallParser::Output& out) {
    parsed.text += out.text;
    parsed.calls.insert(parsed.calls.end(), out.calls.begin(), out.calls.end());
  };
  for (std::size_t i = 0; i < answer.size(); i += piece) take(parser.push(std::string_view(answer).substr(i, piece)));
  take(parser.finish());
  return parsed;
}

ToolCall call(const char* name, const char* arguments) { return {.id = "", .name = name, .arguments = arguments}; }

}  // namespace

TEST_CASE("calls come out of streams in any pieces") {
  struct Case {
    ToolCallStyle style;
    std::string answer, text;
    std::vector<ToolCall> calls;
  };
  const std::string hermes = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\":1}}\n</tool_call>";
  const std::vector<Case> cases = {
      {ToolCallStyle::hermes, "Just <text> & more </tool_call", "Just <text> & more </tool_call", {}},
      {ToolCallStyle::hermes, hermes, "", {call("f", R"({"a": 1})")}},
      {ToolCallStyle::hermes, "I look.\n" + hermes + "\n" + hermes + "\n", "I look.", {call("f", R"({"a": 1})"), call("f", R"({"a": 1})")}},
      {ToolCallStyle::hermes, "a <tool_call>nonsense</tool_call> b", "a <tool_call>nonsense</tool_call> b", {}},
      {ToolCallStyle::hermes, "a <tool_call>{\"name\":", "a <tool_call>{\"name\":", {}},
      {ToolCallStyle::hermes, "<tool_call>{\"name\": \"g\"}", "", {call("g", "{}")}},
      {ToolCallStyle::hermes, "Well\n" + hermes + " and", "Well and", {call("f", R"({"a": 1})")}},
      {ToolCallStyle::hermes, hermes + "\n\n so it is", " so it is", {call("f", R"({"a": 1})")}},
      {ToolCallStyle::hermes, "trailing space \n ", "trailing space \n ", {}},
      {ToolCallStyle::llama3_json, "{\"name\": \"f\", \"parameters\": {\"x\": \"y\"}}", "", {call("f", R"({"x": "y"})")}},
      {ToolCallStyle::llama3_json, " {\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}", "", {call("f", "{}"), call("g", "{}")}},
      {ToolCallStyle::llama3_json, "{\"a\": 1} is JSON", "{\"a\": 1} is JSON", {}},
      {ToolCallStyle::llama3_json, "No {\"name\": \"f\"}", "No {\"name\": \"f\"}", {}},
      {ToolCallStyle::mistral, "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": [1, 2]}}]", "", {call("f", R"({"a": [1, 2]})")}},
      {ToolCallStyle::mistral, "[{\"name\": \"f\", \"arguments\": \"{}\"}, {\"name\": \"g\", \"arguments\": {}}]", "", {call("f", "{}"), call("g", "{}")}},
      {ToolCallStyle::mistral, "[1, 2] are numbers", "[1, 2] are numbers", {}},
      {ToolCallStyle::none, hermes, hermes, {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.answer);
    for (std::size_t piece = 1; piece <= c.answer.size(); piece += piece < 8 ? 1 : 13) {
      CAPTURE(piece);
      const Parsed parsed = parse(c.style, c.answer, piece);
      CHECK(parsed.text == c.text);
      CHECK(parsed.calls == c.calls);
    }
  }
}

TEST_CASE("text that cannot become a call is handed on at once") {
  ToolCallParser parser(ToolCallStyle::hermes);
  CHECK(parser.push("Hello").text == "Hello");
  CHECK(parser.push(" wor<to").text == " wor");
  CHECK(parser.push("ld").text == "<told");
  ToolCallParser llama(ToolCallStyle::llama3_json);
  CHECK(llama.push("Hi").text == "Hi");
  CHECK(llama.push(" {").text == " {");
}

TEST_CASE("under the grammar of a call random logits write calls of the tools") {
  const std::vector<core::ChatTool> tools = {{"add", "", R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]})"},
                                             {"say", "", R"({"properties":{"t":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":"string","maxLength":5}},"type":"object"})"},
                                             {"now", "", ""}};
  const auto trie = tests::schema_vocabulary();
  std::mt19937_64 generator(1);
  for (const ToolCallStyle style : {ToolCallStyle::hermes, ToolCallStyle::llama3_json, ToolCallStyle::mistral}) {
    for (int i = 0; i < 30; ++i) {
      core::GrammarMatcher matcher(core::Grammar::parse(core::tool_call_grammar(style, tools, i % 2 == 0)), trie);
      const std::string answer = tests::text_under_grammar(matcher, *trie, generator);
      CAPTURE(answer);
      const Parsed parsed = parse(style, answer, 3);
      CHECK(parsed.text.empty());
      REQUIRE(!parsed.calls.empty());
      for (const ToolCall& c : parsed.calls) {
        const auto arguments = nlohmann::json::parse(c.arguments);
        CHECK((c.name == "add" ? arguments.at("a").is_number_integer() : c.name == "say" || c.name == "now"));
      }
    }
  }
  CHECK_THROWS_AS(core::tool_call_grammar(ToolCallStyle::none, tools, false), core::Error);
  CHECK_THROWS_AS(core::tool_call_grammar(ToolCallStyle::hermes, {{"f", "", "[]"}}, false), core::Error);
}
