// Chats over the API and in the terminal: templates, formats, calls of tools, and the shapes that clients read.
#include <set>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/data.h"
#include "tests/system/server.h"

namespace starling::tests {
namespace {

using nlohmann::json;

std::optional<std::string> model() {
  const auto path = data_file("stories260k/stories260K.bin");
  return path ? std::optional(path->string()) : std::nullopt;
}

const json kHello{{"messages", {{{"role", "user"}, {"content", "Hi"}}}}, {"max_tokens", 12}, {"temperature", 0}};
const json kPaint = json::parse(R"([{"type":"function","function":{"name":"paint","parameters":{"type":"object",
  "properties":{"colour":{"enum":["red","green"]}},"required":["colour"],"additionalProperties":false}}}])");

json with(json body, const json& more) {
  body.update(more);
  return body;
}

json chat(HttpClient& client, const json& body) {
  const HttpAnswer answer = client.post("/v1/chat/completions", body.dump());
  REQUIRE_MESSAGE(answer.status == 200, answer.body);
  return json::parse(answer.body);
}

std::vector<json> chunks(HttpClient& client, json body) {
  body["stream"] = true;
  const HttpAnswer answer = client.post("/v1/chat/completions", body.dump());
  REQUIRE_MESSAGE(answer.status == 200, answer.body);
  std::vector<json> found;
  auto events = answer.events();
  REQUIRE(!events.empty());
  CHECK(events.back() == "[DONE]");
  events.pop_back();
  for (const std::string& event : events) found.push_back(json::parse(event));
  return found;
}

TEST_CASE("a chat answers the same whole and streamed, on a cluster too, with the same id in all chunks") {
  const auto path = model();
  if (!path) return;
  std::string alone;
  for (const char* nodes : {"local:1", "local:2"}) {
    const Server server(*path, {"--template", "chatml", "--nodes", nodes, "--transport", "inproc"});
    HttpClient client = server.client();
    const json reply = chat(client, kHello);
    const json& choice = reply.at("choices")[0];
    CHECK(choice.at("message").at("role") == "assistant");
    const std::string text = choice.at("message").at("content");
    if (alone.empty()) alone = text;
    CHECK(text == alone);
    CHECK(choice.at("finish_reason") == "length");
    CHECK(reply.at("usage").at("completion_tokens") == 12);
    const auto pieces = chunks(client, with(kHello, {{"stream_options", {{"include_usage", true}}}, {"n", 2}}));
    std::string streamed[2];
    std::set<std::string> ids;
    for (const json& chunk : pieces) {
      ids.insert(chunk.at("id"));
      CHECK(chunk.at("object") == "chat.completion.chunk");
      for (const json& part : chunk.at("choices"))
        if (part.at("delta").contains("content")) streamed[part.at("index").get<int>()] += part.at("delta").at("content");
    }
    CHECK(ids.size() == 1);
    CHECK(streamed[0] == text);
    CHECK(streamed[1] == text);
    CHECK(pieces.front().at("choices")[0].at("delta") == json({{"role", "assistant"}, {"content", ""}}));
    CHECK(pieces.back().at("choices").empty());
    CHECK(pieces.back().at("usage").at("completion_tokens") == 24);
  }
}

TEST_CASE("an answer that must follow a schema, a grammar or be JSON does") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--template", "chatml"});
  HttpClient client = server.client();
  const json schema = json::parse(R"({"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","properties":{
    "colour":{"enum":["red","green"]},"n":{"type":"integer","minimum":1,"maximum":20}},"required":["colour","n"],"additionalProperties":false}}})");
  for (int seed = 0; seed < 8; ++seed) {
    const json reply = chat(client, with(kHello, {{"max_tokens", 150}, {"temperature", 1.5}, {"seed", seed}, {"response_format", schema}}));
    CHECK(reply.at("choices")[0].at("finish_reason") == "stop");
    const json value = json::parse(reply.at("choices")[0].at("message").at("content").get<std::string>());
    CHECK((value.at("colour") == "red" || value.at("colour") == "green"));
    CHECK(value.at("n") >= 1);
    CHECK(value.at("n") <= 20);
  }
  CHECK(chat(client, with(kHello, {{"grammar", R"(root ::= "yes" | "no")"}})).at("choices")[0].at("message").at("content").get<std::string>().size() <= 3);
  const HttpAnswer wrong = client.post("/v1/chat/completions", with(kHello, {{"grammar", "root ::= ("}}).dump());
  CHECK(wrong.status == 400);
  CHECK(json::parse(wrong.body).at("error").at("param") == "grammar");
}

TEST_CASE("a call of a tool that is insisted on is one, whole and in pieces") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--template", "mistral-v3"});
  HttpClient client = server.client();
  for (const json& choice : {json("required"), json{{"type", "function"}, {"function", {{"name", "paint"}}}}}) {
    const json body = with(kHello, {{"max_tokens", 150}, {"tools", kPaint}, {"tool_choice", choice}, {"parallel_tool_calls", false}});
    const HttpAnswer answer = client.post("/v1/chat/completions", body.dump());
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    const json reply = json::parse(answer.body).at("choices")[0];
    CHECK(reply.at("finish_reason") == "tool_calls");
    CHECK(reply.at("message").at("content").is_null());
    const json call = reply.at("message").at("tool_calls").at(0);
    CHECK(call.at("function").at("name") == "paint");
    const std::string arguments = call.at("function").at("arguments");
    CHECK(json::parse(arguments).contains("colour"));
    std::string joined, name;
    for (const json& chunk : chunks(client, body))
      for (const json& part : chunk.at("choices"))
        for (const json& piece : part.at("delta").value("tool_calls", json::array())) {
          if (piece.contains("id")) name = piece.at("function").at("name");
          joined += piece.at("function").at("arguments");
        }
    CHECK(name == "paint");
    CHECK(joined == arguments);
    // What was called and what came of it are part of the next prompt.
    json next = body;
    next["messages"].push_back(reply.at("message"));
    next["messages"].push_back({{"role", "tool"}, {"tool_call_id", call.at("id")}, {"content", "done"}});
    next["tool_choice"] = "none";
    next["max_tokens"] = 5;
    CHECK(chat(client, next).at("choices")[0].at("finish_reason") == "length");
  }
}

TEST_CASE("logprobs of a chat tell every token and its rivals") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--template", "chatml"});
  HttpClient client = server.client();
  const json choice = chat(client, with(kHello, {{"logprobs", true}, {"top_logprobs", 2}})).at("choices")[0];
  std::string joined;
  for (const json& token : choice.at("logprobs").at("content")) {
    joined += token.at("token");
    CHECK(token.at("top_logprobs").size() == 2);
    CHECK(token.at("top_logprobs")[0].at("token") == token.at("token"));
  }
  CHECK(joined == choice.at("message").at("content").get<std::string>());
}

TEST_CASE("a model without a template says how to give one") {
  const auto path = model();
  if (!path) return;
  const Server server(*path);
  HttpClient client = server.client();
  const HttpAnswer answer = client.post("/v1/chat/completions", kHello.dump());
  CHECK(answer.status == 400);
  CHECK(contains(answer.body, "--template"));
  CHECK(run_starling("chat " + *path + " </dev/null").status == 2);
  const Ran unknown = run_starling("serve " + *path + " --http 127.0.0.1:0 --template nonsense");
  CHECK(unknown.status == 2);
  CHECK(contains(unknown.err, "chatml"));
}

TEST_CASE("the conversation in the terminal says what the server says") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--template", "chatml"});
  HttpClient client = server.client();
  const std::string expected = chat(client, kHello).at("choices")[0].at("message").at("content");
  for (const char* nodes : {"", " --nodes local:2"}) {
    const Ran ran = run_starling("chat " + *path + " --template chatml --temperature 0 --tokens 12 --json" + nodes, "printf 'Hi\\n/reset\\nHi\\n/quit\\nHi\\n' |");
    CHECK(ran.status == 0);
    const std::size_t line = ran.out.find('\n');
    REQUIRE(line != std::string::npos);
    CHECK(json::parse(ran.out.substr(0, line)).at("content") == expected);
    // After a reset the same question has the same answer; nothing comes after the end.
    CHECK(ran.out.substr(line + 1) == ran.out.substr(0, line + 1));
  }
}

}  // namespace
}  // namespace starling::tests
