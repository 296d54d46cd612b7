// /v1/embeddings of `starling serve` with encoders, over real sockets.
#include <cmath>
#include <cstring>

#include <doctest/doctest.h>

#include "tests/data.h"
#include "tests/oracle/small_encoder.h"
#include "tests/system/server.h"
#include "tests/temporary_folder.h"

namespace starling::tests {
namespace {

using nlohmann::json;

json ask(HttpClient& client, const json& body) {
  const HttpAnswer answer = client.post("/v1/embeddings", body.dump());
  REQUIRE_MESSAGE(answer.status == 200, answer.body);
  return json::parse(answer.body);
}

json refused(HttpClient& client, const std::string& path, const json& body, int status) {
  const HttpAnswer answer = client.post(path, body.dump());
  CHECK_MESSAGE(answer.status == status, answer.body);
  return json::parse(answer.body).at("error");
}

TEST_CASE("an encoder's vectors come over HTTP as sentence-transformers computes them") {
  const json golden = encoder_texts();
  for (const std::string pooling : {"mean", "first"}) {
    const TemporaryFolder folder;
    write_text_encoder(folder / "bert", golden, pooling);
    const Server server(folder / "bert", {"--threads", "2"});
    HttpClient client = server.client();
    std::vector<std::string> texts;
    std::int64_t tokens = 0;
    for (const json& text : golden["texts"]) {
      if (text["text"] == "") continue;  // the API takes no empty text
      texts.push_back(text["text"]);
      tokens += static_cast<std::int64_t>(text["tokens"].size());
    }
    const json reply = ask(client, {{"model", "bert"}, {"input", texts}});
    CHECK(reply.at("model") == "bert");
    CHECK(reply.at("usage") == json{{"prompt_tokens", tokens}, {"total_tokens", tokens}});
    std::size_t index = 0;
    for (const json& text : golden["texts"]) {
      if (text["text"] == "") continue;
      const json& entry = reply.at("data").at(index);
      CHECK(entry.at("index") == index++);
      for (std::size_t i = 0; i < 48; ++i) CHECK(std::abs(entry.at("embedding")[i].get<double>() - text[pooling][i].get<double>()) < 1e-5);
      // The same by ids.
      CHECK(ask(client, {{"input", text["tokens"]}}).at("data")[0].at("embedding") == entry.at("embedding"));
    }
    const auto vector = reply.at("data")[0].at("embedding").get<std::vector<float>>();
    const json shorter = ask(client, {{"input", texts[0]}, {"dimensions", 6}}).at("data")[0].at("embedding");
    double square = 0;
    for (int i = 0; i < 6; ++i) square += static_cast<double>(vector[static_cast<std::size_t>(i)]) * vector[static_cast<std::size_t>(i)];
    for (std::size_t i = 0; i < 6; ++i) CHECK(shorter[i].get<double>() == doctest::Approx(vector[i] / std::sqrt(square)));
    CHECK(ask(client, {{"input", texts[0]}, {"encoding_format", "base64"}}).at("data")[0].at("embedding").get<std::string>().size() == 48 * 4 / 3 * 4);
  }
}

TEST_CASE("a request of more texts than the queue holds gets all its vectors, in their order") {
  const TemporaryFolder folder;
  write_text_encoder(folder / "bert", encoder_texts(), "mean");
  const Server encoder(folder / "bert", {"--queue", "3"});
  const auto check_many = [](const Server& server, std::size_t count) {
    HttpClient client = server.client();
    const std::vector<std::string> different{"the cat", "a dog", "the dog sat", "cat"};
    std::vector<json> alone;
    for (const std::string& text : different) alone.push_back(ask(client, {{"input", text}}).at("data")[0].at("embedding"));
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < count; ++i) texts.push_back(different[i % 4]);
    const json reply = ask(client, {{"input", texts}});
    REQUIRE(reply.at("data").size() == count);
    for (std::size_t i = 0; i < count; ++i) CHECK(reply.at("data")[i].at("embedding") == alone[i % 4]);
  };
  check_many(encoder, 2048);
  if (const auto writer = data_file("stories260k/stories260K.bin")) check_many(Server(writer->string(), {"--queue", "3", "--sequences", "2"}), 200);
  HttpClient client = encoder.client();
  CHECK(refused(client, "/v1/embeddings", {{"input", std::vector<std::string>(2049, "cat")}}, 400).at("param") == "input");
}

TEST_CASE("an encoder refuses what it cannot do, and says why") {
  const TemporaryFolder folder;
  write_text_encoder(folder / "bert", encoder_texts(), "mean");
  const Server server(folder / "bert");
  HttpClient client = server.client();
  for (const char* path : {"/v1/chat/completions", "/v1/completions"}) {
    const json error = refused(client, path, {{"messages", {{{"role", "user"}, {"content", "Hi"}}}}, {"prompt", "Hi"}}, 400);
    CHECK(error.at("code") == "model_not_supported");
    CHECK(error.at("message").get<std::string>().find("bert is an encoder") != std::string::npos);
  }
  std::string text = "cat";
  for (int i = 0; i < 40; ++i) text += " dog";
  CHECK(refused(client, "/v1/embeddings", {{"input", text}}, 400).at("code") == "context_length_exceeded");
  CHECK(refused(client, "/v1/embeddings", {{"input", "cat"}, {"dimensions", 49}}, 400).at("param") == "dimensions");
  CHECK(refused(client, "/v1/embeddings", {{"input", {40}}}, 400).at("param") == "input");
  CHECK(refused(client, "/v1/embeddings", {{"input", "cat"}, {"model", "other"}}, 404).at("code") == "model_not_found");
  CHECK(client.get("/readyz").status == 200);
  const json state = json::parse(client.get("/cluster").body);
  CHECK(state.at("nodes")[0].at("weight_bytes") > 0);
  CHECK(state.at("steps") == 0);
  CHECK(client.get("/metrics").body.find("starling_node_memory_bytes{model=\"bert\",node=\"master\",kind=\"weights\"} ") != std::string::npos);
  const Ran nodes = run_starling("serve " + (folder / "bert") + " --http 127.0.0.1:0 --nodes local:2");
  CHECK(nodes.status == 2);
  CHECK(contains(nodes.err, "one process computes"));
}

TEST_CASE("an encoder beside a model makes the vectors, and each is reached by its name") {
  const auto writer = data_file("stories260k/stories260K.bin");
  if (!writer) return;
  const json golden = encoder_texts();
  const TemporaryFolder folder;
  write_text_encoder(folder / "bert", golden, "first");
  const Server server(writer->string(), {"--embeddings", folder / "bert"});
  HttpClient client = server.client();
  CHECK(json::parse(client.get("/v1/models").body).at("data").size() == 2);
  CHECK(json::parse(client.get("/v1/models/bert").body).at("id") == "bert");
  const json text = golden["texts"][0];
  const json by_default = ask(client, {{"input", text["text"]}});
  CHECK(by_default.at("model") == "bert");
  CHECK(by_default == ask(client, {{"input", text["text"]}, {"model", "bert"}}));
  CHECK(ask(client, {{"input", text["text"]}, {"model", "stories260K"}}).at("data")[0].at("embedding").size() == 64);
  CHECK(client.post("/v1/completions", R"({"prompt":"Once","max_tokens":2})").status == 200);
  CHECK(refused(client, "/v1/completions", {{"prompt", "Once"}, {"model", "bert"}}, 400).at("code") == "model_not_supported");
}

}  // namespace
}  // namespace starling::tests
