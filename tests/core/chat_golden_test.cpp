// Chat templates against what transformers makes of the published ones: tests/golden/chat_templates.json, written by
// make_chat_templates.py.
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/text/chat/chat_template.h"

using namespace starling;
using Json = nlohmann::ordered_json;

namespace {

core::ChatInput dialogue(const Json& given, const Json& wanted) {
  core::ChatInput input;
  for (const Json& m : given.at("messages")) {
    core::ChatMessage message{.role = m.at("role"), .content = m.at("content"), .tool_calls = {}, .tool_call_id = m.value("tool_call_id", "")};
    for (const Json& call : m.value("tool_calls", Json::array()))
      message.tool_calls.push_back({.id = call.at("id"), .name = call.at("function").at("name"), .arguments = call.at("function").at("arguments").dump()});
    input.messages.push_back(std::move(message));
  }
  for (const Json& tool : given.at("tools")) {
    const Json& function = tool.at("function");
    input.tools.push_back({function.at("name"), function.at("description"), function.at("parameters").dump()});
  }
  input.generation_prompt = wanted.at("prompt");
  input.thinking = wanted.at("thinking");
  return input;
}

}  // namespace

TEST_CASE("every published template is recognised, and dialogues take the form that transformers gives them") {
  const Json golden = Json::parse(std::ifstream(std::string(STARLING_SOURCE_DIR) + "/tests/golden/chat_templates.json"));
  std::size_t compared = 0;
  for (const Json& published : golden.at("templates")) {
    CAPTURE(published.at("model").get<std::string>());
    const core::ChatTemplate& form = core::detect_chat_template(published.at("template").get<std::string>());
    CHECK(form.name == published.at("name").get<std::string>());
    for (const Json& wanted : published.at("rendered")) {
      const auto title = wanted.at("dialogue").get<std::string>();
      CAPTURE(title);
      CAPTURE(wanted.at("prompt").get<bool>());
      CHECK(core::to_text(form.render(dialogue(golden.at("dialogues").at(title), wanted))) == wanted.at("text").get<std::string>());
      ++compared;
    }
  }
  CHECK(compared > 300);
}
