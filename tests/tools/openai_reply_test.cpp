#include "tools/serve/openai_reply.h"

#include <limits>

#include <doctest/doctest.h>

#include "tools/serve/base64.h"

namespace starling::tests {
namespace {

using tools::FinishedChoice;
using tools::Json;
using tools::ReplyHead;

const ReplyHead kHead{"chatcmpl-1", 123, "m", false, false};

TEST_CASE("a chat's reply has the shape that clients read") {
  const FinishedChoice choice{{"Hi", {}, {}}, "stop"};
  CHECK(tools::chat_reply(kHead, std::span(&choice, 1), {5, 2, 3}) == Json::parse(R"({"id":"chatcmpl-1","object":"chat.completion","created":123,"model":"m",
    "choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},"logprobs":null,"finish_reason":"stop"}],
    "usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":3}}})"));
}

TEST_CASE("a pure tool call has no content, and its arguments are a string") {
  const FinishedChoice choice{{"", {{0, "call_1", "f", R"({"a":1})"}}, {}}, "tool_calls"};
  const Json message = tools::chat_reply(kHead, std::span(&choice, 1), {}).at("choices")[0].at("message");
  CHECK(message == Json::parse(R"({"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]})"));
}

TEST_CASE("chunks carry what is new, a null usage only when usage was asked for, and usage in one of their own") {
  CHECK(tools::chat_first_chunk(kHead, 1) == Json::parse(R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":123,"model":"m",
    "choices":[{"index":1,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]})"));
  ReplyHead with_usage = kHead;
  with_usage.include_usage = true;
  const Json chunk = tools::chat_chunk(with_usage, 0, {"a", {}, {}});
  CHECK(chunk.at("choices")[0].at("delta") == Json::parse(R"({"content":"a"})"));
  CHECK(chunk.at("usage").is_null());
  CHECK(tools::chat_last_chunk(kHead, 0, "length").at("choices")[0].at("delta") == Json::object());
  const Json usage = tools::usage_chunk(with_usage, tools::kChatChunk, {1, 2, 0});
  CHECK(usage.at("choices") == Json::array());
  CHECK(usage.at("usage").at("total_tokens") == 3);
}

TEST_CASE("a call in a stream is named once, then only its arguments grow") {
  const auto delta = [](const tools::ToolCallPiece& piece) { return tools::chat_chunk(kHead, 0, {"", {piece}, {}}).at("choices")[0].at("delta"); };
  CHECK(delta({0, "call_1", "f", ""}) == Json::parse(R"({"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]})"));
  CHECK(delta({0, "", "", "{\"a"}) == Json::parse(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"a"}}]})"));
}

TEST_CASE("logprobs of chats have bytes, those of completions have offsets in characters") {
  ReplyHead head = kHead;
  head.logprobs = true;
  const double none = -std::numeric_limits<double>::infinity();
  const FinishedChoice choice{{"\u00e9b", {}, {{"\u00e9", -0.5, {{"\u00e9", -0.5}, {"x", none}}}, {"b", -1, {}}}}, "stop"};
  CHECK(tools::chat_reply(head, std::span(&choice, 1), {}).at("choices")[0].at("logprobs") == Json::parse(R"({"content":[
    {"token":"\u00e9","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"\u00e9","logprob":-0.5,"bytes":[195,169]},{"token":"x","logprob":-9999.0,"bytes":[120]}]},
    {"token":"b","logprob":-1.0,"bytes":[98],"top_logprobs":[]}],"refusal":null})"));
  CHECK(tools::completion_reply(head, std::span(&choice, 1), {}).at("choices")[0].at("logprobs") == Json::parse(R"({"tokens":["\u00e9","b"],
    "token_logprobs":[-0.5,-1.0],"top_logprobs":[{"\u00e9":-0.5,"x":-9999.0},{}],"text_offset":[0,1]})"));
}

TEST_CASE("vectors go out as numbers or as base64 of their bytes") {
  const std::vector<float> vector{1, -0.5, 0.25, 3};
  CHECK(tools::to_base64(std::as_bytes(std::span(vector))) == "AACAPwAAAL8AAIA+AABAQA==");
  CHECK(tools::to_base64({}) == "");
  CHECK(tools::to_base64(std::as_bytes(std::span("abcd", 2))) == "YWI=");
  CHECK(tools::embedding_reply("m", std::span(&vector, 1), true, 4).at("data")[0].at("embedding") == "AACAPwAAAL8AAIA+AABAQA==");
  CHECK(tools::embedding_reply("m", std::span(&vector, 1), false, 4) == Json::parse(R"({"object":"list","model":"m",
    "data":[{"object":"embedding","index":0,"embedding":[1.0,-0.5,0.25,3.0]}],"usage":{"prompt_tokens":4,"total_tokens":4}})"));
}

TEST_CASE("errors have all four keys") {
  CHECK(tools::to_json(tools::invalid("n", "no", "")) == nlohmann::json::parse(R"({"error":{"message":"no","type":"invalid_request_error","param":"n","code":null}})"));
  const auto reply = tools::error_reply(tools::as_api_error(core::Error(core::Kind::overloaded, "full")));
  CHECK(reply.status == 429);
  CHECK(reply.headers == tools::HttpHeaders{{"Retry-After", "1"}});
  CHECK(tools::as_api_error(std::runtime_error("x")).status() == 500);
  CHECK(tools::as_api_error(core::Error(core::Kind::unreachable, "x")).status() == 503);
}

}  // namespace
}  // namespace starling::tests
