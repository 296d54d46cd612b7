// `starling serve` as clients see it, over real sockets, on one process and on clusters.
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/data.h"
#include "tests/system/server.h"

namespace starling::tests {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

std::optional<std::string> model() {
  const auto path = data_file("stories260k/stories260K.bin");
  return path ? std::optional(path->string()) : std::nullopt;
}

json completion(HttpClient& client, const json& body) {
  const HttpAnswer answer = client.post("/v1/completions", body.dump());
  REQUIRE_MESSAGE(answer.status == 200, answer.body);
  return json::parse(answer.body);
}

std::string text_of(const json& reply) { return reply.at("choices").at(0).at("text"); }

/// What /cluster says.
json state(HttpClient& client) { return json::parse(client.get("/cluster").body); }

/// Asks for the state until `wanted`; false when that does not come.
template <class Wanted>
bool comes(HttpClient& client, Wanted wanted, std::chrono::seconds patience = 20s) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    if (wanted(state(client))) return true;
    std::this_thread::sleep_for(5ms);  // asking without a pause would slow down what is watched
  }
  return false;
}

bool idle(HttpClient& client, std::chrono::seconds patience) {
  return comes(client, [](const json& now) { return now.at("running") == 0 && now.at("waiting") == 0; }, patience);
}

const json kStory{{"prompt", "Once upon a time"}, {"max_tokens", 40}, {"temperature", 0}};

json with(json body, const json& more) {
  body.update(more);
  return body;
}

TEST_CASE("a completion is the same whole, streamed, beside others, and on clusters, and is what generate writes") {
  const auto path = model();
  if (!path) return;
  const Ran ran = run_starling("generate " + *path + " --prompt 'Once upon a time' --tokens 40 --json");
  const std::string expected = json::parse(ran.out).at("text");
  for (const std::vector<std::string>& options : {std::vector<std::string>{}, {"--nodes", "local:3"}, {"--nodes", "local:2", "--transport", "inproc", "--prefill-chunk", "1"}}) {
    CAPTURE(options.size());
    const Server server(*path, options);
    HttpClient client = server.client();
    const json whole = completion(client, kStory);
    CHECK(text_of(whole) == expected);
    CHECK(whole.at("choices")[0].at("finish_reason") == "length");
    CHECK(whole.at("usage").at("completion_tokens") == 40);
    const HttpAnswer streamed = client.post("/v1/completions", with(kStory, {{"stream", true}, {"stream_options", {{"include_usage", true}}}}).dump());
    CHECK(streamed.headers.at("content-type") == "text/event-stream");
    const auto events = streamed.events();
    REQUIRE(events.size() > 10);
    CHECK(events.back() == "[DONE]");
    std::string text;
    for (std::size_t i = 0; i + 2 < events.size(); ++i) {
      const json chunk = json::parse(events[i]);
      CHECK(chunk.at("usage").is_null());
      text += text_of(chunk);
    }
    CHECK(text == expected);
    const json usage = json::parse(events[events.size() - 2]);
    CHECK(usage.at("choices").empty());
    CHECK(usage.at("usage").at("completion_tokens") == 40);
    // Several prompts, several choices, token ids: all in one batch.
    const json batch = completion(client, with(kStory, {{"prompt", {"Once upon a time", "The cat", "Once upon a time"}}, {"n", 2}}));
    REQUIRE(batch.at("choices").size() == 6);
    for (const int same : {0, 1, 4, 5}) CHECK(batch.at("choices").at(static_cast<std::size_t>(same)).at("text") == expected);
    CHECK(state(client).at("nodes").size() == (options.empty() ? 1 : std::stoul(options[1].substr(6))));
  }
}

TEST_CASE("sampling follows the seed, choices differ, and stop strings, biases, echo and logprobs do what they say") {
  const auto path = model();
  if (!path) return;
  const Server server(*path);
  HttpClient client = server.client();
  const json drawn = with(kStory, {{"temperature", 1}, {"seed", 7}, {"n", 3}});
  const json first = completion(client, drawn), second = completion(client, drawn);
  CHECK(first.at("choices") == second.at("choices"));
  CHECK(first.at("choices")[0].at("text") != first.at("choices")[1].at("text"));
  CHECK(text_of(completion(client, with(drawn, {{"n", 1}}))) == text_of(first));
  CHECK(text_of(completion(client, with(drawn, {{"n", 1}, {"seed", 8}}))) != text_of(first));

  const std::string story = text_of(completion(client, kStory));
  const json stopped = completion(client, with(kStory, {{"stop", {"named", "zzz"}}}));
  CHECK(text_of(stopped) == story.substr(0, story.find("named")));
  CHECK(stopped.at("choices")[0].at("finish_reason") == "stop");
  CHECK(text_of(completion(client, with(kStory, {{"echo", true}}))) == "Once upon a time" + story);
  const json biased = completion(client, with(kStory, {{"logit_bias", {{"403", -100}, {"261", -100}}}}));
  CHECK(text_of(biased) != story);

  const json told = completion(client, with(kStory, {{"logprobs", 3}, {"max_tokens", 4}})).at("choices")[0];
  const json& logprobs = told.at("logprobs");
  CHECK(logprobs.at("tokens").size() == 4);
  std::string joined;
  for (const std::string token : logprobs.at("tokens")) joined += token;
  CHECK(joined == told.at("text").get<std::string>());
  CHECK(logprobs.at("top_logprobs")[0].size() == 3);
  for (const double value : logprobs.at("token_logprobs")) CHECK(value <= 0);
}

TEST_CASE("models, health, metrics and the page are there") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--name", "tiny"});
  HttpClient client = server.client();
  CHECK(json::parse(client.get("/v1/models").body).at("data")[0].at("id") == "tiny");
  CHECK(json::parse(client.get("/v1/models/tiny").body).at("object") == "model");
  const HttpAnswer missing = client.get("/v1/models/large");
  CHECK(missing.status == 404);
  CHECK(json::parse(missing.body).at("error").at("code") == "model_not_found");
  for (const char* path_of_health : {"/health", "/healthz", "/readyz"}) CHECK(client.get(path_of_health).status == 200);
  completion(client, with(kStory, {{"model", "tiny"}}));
  const HttpAnswer metrics = client.get("/metrics");
  CHECK(metrics.headers.at("content-type").find("version=0.0.4") != std::string::npos);
  CHECK(contains(metrics.body, "starling_generation_tokens_total{model=\"tiny\"} 40\n"));
  CHECK(contains(metrics.body, "starling_time_per_output_token_seconds_count{model=\"tiny\"} 39\n"));
  const HttpAnswer page = client.get("/");
  CHECK(page.headers.at("content-type") == "text/html; charset=utf-8");
  CHECK(contains(page.body, "Starling"));
  CHECK(client.get("/nothing").status == 404);
  CHECK(client.get("/v1/completions").status == 405);
  CHECK(client.get("/v1/completions").headers.at("allow") == "POST");
}

TEST_CASE("embeddings are vectors of length one, as numbers and as base64, alone or in company") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--nodes", "local:2", "--transport", "inproc"});
  HttpClient client = server.client();
  const auto ask = [&](const json& body) {
    const HttpAnswer answer = client.post("/v1/embeddings", body.dump());
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    return json::parse(answer.body);
  };
  const json two = ask({{"input", {"a cat", "a dog"}}});
  const auto cat = two.at("data")[0].at("embedding").get<std::vector<float>>();
  CHECK(cat.size() == 64);
  double square = 0;
  for (const float v : cat) square += static_cast<double>(v) * v;
  CHECK(square == doctest::Approx(1));
  CHECK(ask({{"input", "a cat"}}).at("data")[0].at("embedding") == two.at("data")[0].at("embedding"));
  CHECK(two.at("data")[1].at("embedding") != two.at("data")[0].at("embedding"));
  const std::string text = ask({{"input", "a cat"}, {"encoding_format", "base64"}}).at("data")[0].at("embedding");
  CHECK(text.size() == (64 * 4 + 2) / 3 * 4);
  CHECK(ask({{"input", "a cat"}, {"dimensions", 8}}).at("data")[0].at("embedding").size() == 8);
  CHECK(client.post("/v1/embeddings", R"({"input":"a","dimensions":65})").status == 400);
}

TEST_CASE("what cannot be done is refused with a reason, and the server goes on") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--ctx", "64"});
  HttpClient client = server.client();
  const auto code = [&](const std::string& where, const std::string& body, int status) {
    const HttpAnswer answer = client.post(where, body);
    CHECK_MESSAGE(answer.status == status, answer.body);
    const json error = json::parse(answer.body).at("error");
    for (const char* key : {"message", "type", "param", "code"}) CHECK(error.contains(key));
    return error.at("code");
  };
  std::string story = "Once";
  for (int i = 0; i < 100; ++i) story += " upon";
  CHECK(code("/v1/completions", json{{"prompt", story}}.dump(), 400) == "context_length_exceeded");
  CHECK(code("/v1/completions", R"({"prompt":"a","model":"gpt-4o"})", 404) == "model_not_found");
  code("/v1/completions", R"({"prompt":[99999]})", 400);
  code("/v1/completions", R"({"prompt":"a","logit_bias":{"99999":1}})", 400);
  code("/v1/completions", "not json", 400);
  code("/v1/completions", std::string(100000, '['), 400);
  code("/v1/completions", R"({"prompt":"a","temperature":5})", 400);
  HttpClient large = server.client();
  large.send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n");
  CHECK(large.read().status == 413);
  // A context that fills up ends the text.
  CHECK(completion(client, {{"prompt", "Once"}, {"max_tokens", 1000}, {"temperature", 0}}).at("choices")[0].at("finish_reason") == "length");
}

TEST_CASE("a client that goes away stops its computation within a token, streamed or not") {
  const auto path = model();
  if (!path) return;
  // Links that take 5 ms make tokens slow enough to see one end early.
  const Server server(*path, {"--nodes", "local:2", "--link", "delay=3ms", "--sequences", "2"});
  HttpClient watcher = server.client();
  for (const bool stream : {true, false}) {
    CAPTURE(stream);
    const int before = state(watcher).at("generated_tokens");
    {
      HttpClient client = server.client();
      client.send(HttpClient::request("POST", "/v1/completions", with(kStory, {{"max_tokens", 400}, {"stream", stream}}).dump()));
      if (stream) {
        client.read_head();
        client.read_chunk();
        client.read_chunk();
      }
      REQUIRE(comes(watcher, [&](const json& now) { return now.at("generated_tokens") > before + 3; }));
    }
    // The step under way ends, and perhaps one that began before the socket's end was seen.
    const int then = state(watcher).at("generated_tokens");
    CHECK(idle(watcher, 2s));
    CHECK(state(watcher).at("generated_tokens") <= then + 2);
    CHECK(then < before + 100);
  }
  CHECK(contains(watcher.get("/metrics").body, "finished_reason=\"cancelled\"} 2\n"));
}

TEST_CASE("an answer under way is ended by its id, with what it has written") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--nodes", "local:2", "--link", "delay=3ms"});
  HttpClient client = server.client(), other = server.client();
  const std::string whole = text_of(completion(client, with(kStory, {{"max_tokens", 400}})));
  client.send(HttpClient::request("POST", "/v1/completions", with(kStory, {{"max_tokens", 400}, {"stream", true}, {"stream_options", {{"include_usage", true}}}}).dump()));
  client.read_head();
  const std::string first = client.read_chunk();
  const json body{{"id", json::parse(first.substr(6)).at("id")}};
  const HttpAnswer cancelled = other.post("/v1/cancel", body.dump());
  CHECK(cancelled.status == 200);
  CHECK(json::parse(cancelled.body).at("cancelled") == true);
  std::string text = text_of(json::parse(first.substr(6))), reason, last;
  json usage;
  for (std::string chunk = client.read_chunk(); !chunk.empty(); chunk = client.read_chunk()) {
    last = chunk;
    if (contains(chunk, "[DONE]")) continue;
    const json event = json::parse(chunk.substr(6));
    if (event.at("usage").is_object()) usage = event.at("usage");
    if (event.at("choices").empty()) continue;
    text += text_of(event);
    if (event.at("choices")[0].at("finish_reason").is_string()) reason = event.at("choices")[0].at("finish_reason");
  }
  CHECK(last == "data: [DONE]\n\n");
  CHECK(reason == "stop");
  CHECK(usage.at("completion_tokens") < 100);
  CHECK(whole.starts_with(text));
  CHECK(idle(other, 2s));
  // It is over, and there never was another.
  CHECK(other.post("/v1/cancel", body.dump()).status == 404);
  CHECK(other.post("/v1/cancel", R"({"id":"cmpl-none"})").status == 404);
  CHECK(other.post("/v1/cancel", "{}").status == 400);
}

TEST_CASE("a full queue is refused with 429 and Retry-After, and what waits is served") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--sequences", "1", "--queue", "2", "--nodes", "local:2", "--link", "delay=2ms"});
  const json slow = with(kStory, {{"max_tokens", 60}});
  std::vector<HttpClient> accepted;
  HttpClient watcher = server.client();
  for (int i = 0; i < 3; ++i) {
    accepted.push_back(server.client());
    accepted.back().send(HttpClient::request("POST", "/v1/completions", slow.dump()));
    REQUIRE(comes(watcher, [&](const json& now) { return now.at("running") == 1 && now.at("waiting") == i; }));
  }
  const HttpAnswer refused = watcher.post("/v1/completions", slow.dump());
  CHECK(refused.status == 429);
  CHECK(refused.headers.count("retry-after") == 1);
  CHECK(json::parse(refused.body).at("error").at("type") == "rate_limit_error");
  // More choices than the queue has room for are refused together.
  CHECK(watcher.post("/v1/completions", with(slow, {{"n", 100}}).dump()).status == 429);
  for (HttpClient& client : accepted) CHECK(client.read().status == 200);
  CHECK(idle(watcher, 5s));
}

TEST_CASE("64 streams at once each get their own text") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--sequences", "64"});
  const std::vector<std::string> prompts{"Once upon a time", "The cat", "Tom had", "One day"};
  HttpClient single = server.client();
  std::vector<std::string> expected;
  for (const std::string& prompt : prompts) expected.push_back(text_of(completion(single, with(kStory, {{"prompt", prompt}}))));
  std::vector<HttpClient> clients;
  for (std::size_t i = 0; i < 64; ++i) {
    clients.push_back(server.client());
    clients.back().send(HttpClient::request("POST", "/v1/completions", with(kStory, {{"prompt", prompts[i % 4]}, {"stream", true}}).dump()));
  }
  for (std::size_t i = 0; i < 64; ++i) {
    std::string text;
    for (const std::string& event : clients[i].read().events())
      if (event != "[DONE]") text += text_of(json::parse(event));
    CHECK(text == expected[i % 4]);
  }
}

TEST_CASE("a key is asked for on every endpoint but health and the page, and outside of this machine always") {
  const auto path = model();
  if (!path) return;
  const Server server(*path, {"--api-key", "secret"});
  HttpClient client = server.client();
  CHECK(client.get("/v1/models").status == 401);
  CHECK(client.ask("GET", "/v1/models", "", "Authorization: Bearer wrong\r\n").status == 401);
  CHECK(client.ask("GET", "/v1/models", "", "Authorization: Bearer secret\r\n").status == 200);
  CHECK(client.get("/healthz").status == 200);
  CHECK(client.get("/").status == 200);
  const Ran open = run_starling("serve " + *path + " --http 0.0.0.0:0");
  CHECK(open.status == 1);
  CHECK(contains(open.err, "--api-key"));
  CHECK(run_starling("serve " + *path + " --http nowhere").status == 2);
}

TEST_CASE("a signal ends the server when the answers under way are complete") {
  const auto path = model();
  if (!path) return;
  const Server server(*path);
  HttpClient client = server.client();
  client.send(HttpClient::request("POST", "/v1/completions", with(kStory, {{"max_tokens", 400}, {"stream", true}}).dump()));
  client.read_head();
  ::kill(server.pid(), SIGTERM);
  std::string rest;
  for (std::string chunk = client.read_chunk(); !chunk.empty(); chunk = client.read_chunk()) rest += chunk;
  CHECK(rest.ends_with("data: [DONE]\n\n"));
  int status = -1;
  CHECK(::waitpid(server.pid(), &status, 0) == server.pid());
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace starling::tests
