#include "tools/serve/openai_request.h"

#include <doctest/doctest.h>

#include "tools/serve/json_fields.h"

namespace starling::tests {
namespace {

using tools::ApiError;
using tools::ChatRequest;
using tools::OutputFormat;

/// The error that `decode` of `body` is; the body must be refused with status 400.
template <class Decode>
ApiError refused(Decode decode, const std::string& body) {
  try {
    decode(body);
  } catch (const ApiError& error) {
    CHECK(error.status() == 400);
    CHECK(error.type() == "invalid_request_error");
    return error;
  }
  FAIL("accepted: ", body.substr(0, 200));
  return ApiError(0, "", "");
}

std::string chat_with(const std::string& fields) { return R"({"messages":[{"role":"user","content":"x"}],)" + fields + "}"; }

TEST_CASE("a chat is decoded whole, with the defaults of the API for what is absent or null") {
  const ChatRequest plain = tools::decode_chat_request(R"({"model":"m","messages":[{"role":"user","content":"Hi"}],"stop":null,"seed":null,"tools":null,"n":null})");
  CHECK(plain.generation.model == "m");
  CHECK(plain.generation.temperature == 1);
  CHECK(plain.generation.top_p == 1);
  CHECK(plain.generation.choices == 1);
  CHECK_FALSE(plain.generation.tokens);
  CHECK_FALSE(plain.generation.seed);
  CHECK_FALSE(plain.generation.stream);
  CHECK_FALSE(plain.generation.logprobs);
  CHECK(plain.choice == ChatRequest::Choice::none);

  const ChatRequest full = tools::decode_chat_request(R"({"messages":[
      {"role":"developer","content":"Be brief."},
      {"role":"user","content":[{"type":"text","text":"How "},{"type":"text","text":"cold?"}]},
      {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"c1","content":"-3"}],
    "max_tokens":5,"max_completion_tokens":7,"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"repetition_penalty":1.1,
    "presence_penalty":-1,"frequency_penalty":2,"seed":-4,"logit_bias":{"3":-100,"4":null},"stop":["a","b"],"n":2,
    "stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"logprobs":true,"top_logprobs":4,
    "tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"b":{},"a":{}}}}}],
    "tool_choice":{"type":"function","function":{"name":"weather"}},"parallel_tool_calls":false,"unknown":[1]})");
  REQUIRE(full.messages.size() == 4);
  CHECK(full.messages[0].role == "system");
  CHECK(full.messages[1].content == "How cold?");
  REQUIRE(full.messages[2].tool_calls.size() == 1);
  CHECK(full.messages[2].tool_calls[0].name == "weather");
  CHECK(full.messages[3].tool_call_id == "c1");
  const auto& g = full.generation;
  CHECK(g.tokens == 7);
  CHECK(g.temperature == 0.5);
  CHECK(g.top_k == 40);
  CHECK(g.seed == -4);
  REQUIRE(g.logit_bias.size() == 1);
  CHECK(g.logit_bias[0] == std::pair<core::TokenId, float>(3, -100.0f));
  CHECK(g.stop == std::vector<std::string>{"a", "b"});
  CHECK(g.choices == 2);
  CHECK(g.include_usage);
  CHECK(g.logprobs == 4);
  CHECK(full.choice == ChatRequest::Choice::named);
  CHECK(full.chosen == "weather");
  CHECK_FALSE(full.parallel);
  // The order of a schema's properties is that in which the model will write them.
  CHECK(full.tools[0].parameters == R"({"type":"object","properties":{"b":{},"a":{}}})");
}

TEST_CASE("formats of an answer") {
  using Kind = OutputFormat::Kind;
  const auto format = [](const std::string& fields) { return tools::decode_chat_request(chat_with(fields)).generation.format; };
  CHECK(format(R"("response_format":{"type":"text"})") == OutputFormat{});
  CHECK(format(R"("response_format":{"type":"json_object"})") == OutputFormat{Kind::json_object, ""});
  CHECK(format(R"("response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}})") ==
        OutputFormat{Kind::json_schema, R"({"type":"object"})"});
  CHECK(format(R"("grammar":"root ::= [a-z]")") == OutputFormat{Kind::grammar, "root ::= [a-z]"});
}

TEST_CASE("what is wrong with a chat is said with the field's name") {
  const auto expect = [](const std::string& fields, const std::string& param) {
    CAPTURE(fields);
    CHECK(refused(tools::decode_chat_request, chat_with(fields)).param() == param);
  };
  expect(R"("temperature":2.1)", "temperature");
  expect(R"("temperature":"1")", "temperature");
  expect(R"("top_p":-0.1)", "top_p");
  expect(R"("n":0)", "n");
  expect(R"("n":129)", "n");
  expect(R"("n":1.5)", "n");
  expect(R"("max_tokens":0)", "max_tokens");
  expect(R"("seed":18446744073709551615)", "seed");
  expect(R"("stop":["a","b","c","d","e"])", "stop");
  expect(R"("stop":[1])", "stop");
  expect(R"("stop":"")", "stop");
  expect(R"("logit_bias":{"x":1})", "logit_bias");
  expect(R"("logit_bias":{"1":101})", "logit_bias.1");
  expect(R"("presence_penalty":3)", "presence_penalty");
  expect(R"("stream":1)", "stream");
  expect(R"("stream_options":{"include_usage":true})", "stream_options");
  expect(R"("top_logprobs":2)", "top_logprobs");
  expect(R"("logprobs":true,"top_logprobs":21)", "top_logprobs");
  expect(R"("response_format":{"type":"xml"})", "response_format.type");
  expect(R"("response_format":{"type":"json_schema"})", "response_format.json_schema");
  expect(R"("response_format":"json")", "response_format");
  expect(R"("tools":[{"type":"function","function":{"name":"a b"}}])", "tools[0].function.name");
  expect(R"("tools":[{"type":"retrieval"}])", "tools[0].type");
  expect(R"("tool_choice":"required")", "tool_choice");
  expect(R"("tool_choice":"maybe")", "tool_choice");
  const auto messages = [](const std::string& list, const std::string& param) {
    CAPTURE(list);
    CHECK(refused(tools::decode_chat_request, R"({"messages":)" + list + "}").param() == param);
  };
  messages("null", "messages");
  messages("[]", "messages");
  messages("[1]", "messages[0]");
  messages(R"([{"role":"wizard","content":"x"}])", "messages[0].role");
  messages(R"([{"role":"user","content":"x"},{"role":"user"}])", "messages[1].content");
  messages(R"([{"role":"user","content":[{"type":"image_url","image_url":{}}]}])", "messages[0].content[0].type");
  messages(R"([{"role":"tool","content":"x"}])", "messages[0].tool_call_id");
}

TEST_CASE("prompts are a string, strings, ids or lists of ids") {
  const auto prompts = [](const std::string& json) { return tools::decode_completion_request(R"({"prompt":)" + json + "}").prompts; };
  using Ids = std::vector<core::TokenId>;
  CHECK(prompts(R"("a")") == std::vector<tools::Prompt>{"a"});
  CHECK(prompts(R"(["a","b"])") == std::vector<tools::Prompt>{"a", "b"});
  CHECK(prompts("[1,2]") == std::vector<tools::Prompt>{Ids{1, 2}});
  CHECK(prompts("[[1],[2,3]]") == std::vector<tools::Prompt>{Ids{1}, Ids{2, 3}});
  for (const char* wrong : {"1", "[]", R"(["a",[1]])", R"([1,"a"])", "[-1]", "[1.5]", "[{}]", "null"})
    CHECK(refused(tools::decode_completion_request, std::string(R"({"prompt":)") + wrong + "}").param() == "prompt");
  CHECK(tools::decode_completion_request(R"({"prompt":"a"})").generation.tokens == 16);
  CHECK(tools::decode_completion_request(R"({"prompt":"a","logprobs":0})").generation.logprobs == 0);
  CHECK(refused(tools::decode_completion_request, R"({"prompt":"a","suffix":"b"})").param() == "suffix");
  CHECK(refused(tools::decode_completion_request, R"({"prompt":"a","logprobs":true})").param() == "logprobs");
  CHECK(tools::decode_embedding_request(R"({"input":"a","encoding_format":"base64"})").base64);
  CHECK(refused(tools::decode_embedding_request, R"({"input":"a","encoding_format":"hex"})").param() == "encoding_format");
}

TEST_CASE("a body is bounded in depth and number before it is built") {
  refused(tools::decode_chat_request, std::string(1 << 20, '['));
  refused(tools::decode_chat_request, R"({"messages":)" + std::string(65, '[') + std::string(65, ']') + "}");
  std::string many = R"({"messages":[)";
  for (int i = 0; i < (1 << 20); ++i) many += "1,";
  refused(tools::decode_chat_request, many + "1]}");
  refused(tools::decode_chat_request, "");
  refused(tools::decode_chat_request, "[]");
  refused(tools::decode_chat_request, "{\"messages\": \xff}");
  // Brackets in strings are text.
  CHECK(tools::decode_chat_request(R"({"messages":[{"role":"user","content":"\"[[[[)" + std::string(200, '[') + R"("}]})").messages.size() == 1);
}

}  // namespace
}  // namespace starling::tests
