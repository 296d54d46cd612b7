// `starling serve`: an OpenAI-compatible server over one process or a cluster, with metrics and a page to chat.
#include <cstdlib>
#include <future>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/models/bert.h"
#include "tools/command.h"
#include "tools/measure.h"
#include "tools/plan_print.h"
#include "tools/process.h"
#include "tools/serve/api.h"
#include "tools/serve/http_server.h"
#include "tools/serve/pace.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;

constexpr const char* kKeyVariable = "STARLING_API_KEY";

struct ServeOptions {
  std::string http = "127.0.0.1:8080";
  std::string key, key_file;
  std::string embeddings;
  int connections = 1024;
  bool json = false;
  int lifeline = -1;
  int announce = -1;
  ModelOptions model;
};

std::string api_key(const ServeOptions& options) {
  check(options.key.empty() || options.key_file.empty(), Kind::usage, "give one of --api-key and --api-key-file");
  std::string key = options.key;
  if (!options.key_file.empty()) {
    key = core::read_text(options.key_file, 4096);
    while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
    check(!key.empty(), Kind::usage, "--api-key-file {}: the file is empty", options.key_file);
  } else if (const char* variable = std::getenv(kKeyVariable); key.empty() && variable) {
    key = variable;
  }
  return key;
}

void say(const ServeOptions& options, const nlohmann::json& event, const std::string& words) {
  if (options.json) print_json(event);
  else print(words + "\n");
  flush_output();
}

/// The server on a thread of its own, so that it can say that the model is still loading.
class Front {
 public:
  Front(const HttpOptions& http, const std::string& key)
      : server_(http, [this](HttpRequest request, std::shared_ptr<Exchange> exchange) { api_->handle(std::move(request), std::move(exchange)); }) {
    check(server_.loopback() || !key.empty(), Kind::refused,
          "--http {}:{}: whoever reaches this address could use the model; give --api-key, --api-key-file or {}", http.host, http.port, kKeyVariable);
    api_ = std::make_unique<Api>(Admission{key, server_.loopback()});
    thread_ = std::thread([this] {
      server_.run([this] { api_->stop(); });
      stopped_.set_value();
    });
  }
  ~Front() { close(); }
  /// Nothing that was shown is used any more when it returns.
  void close() {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  void show(const Served& served) {
    server_.post([this, served] { api_->serve(served); });
    server_.stop_on_signals();
  }
  /// Runs `work` on the server's thread.
  void post(std::function<void()> work) { server_.post(std::move(work)); }
  void wait() { stopped_.get_future().wait(); }
  const std::string& url() const { return server_.url(); }

 private:
  std::unique_ptr<Api> api_;
  HttpServer server_;
  std::promise<void> stopped_;
  std::thread thread_;
};

/// Closes the server before what it shows goes away.
struct Closing {
  Front& front;
  ~Closing() { front.close(); }
};

std::unique_ptr<ServedEncoder> load_encoder(const ServeOptions& options, const std::string& path, std::string name) {
  core::BertModel model = core::load_bert(path);
  check(model.vocabulary.model != core::TokenizerModel::none, Kind::missing, "{}: there is no tokenizer.json beside the encoder", path);
  const int threads = options.model.cluster.threads;
  if (name.empty()) name = name_of(path);
  return std::make_unique<ServedEncoder>(std::move(model), EncoderOptions{std::move(name), threads > 0 ? threads : describe_machine().cores, options.model.queue});
}

/// An encoder that is alone: vectors only, from this process.
int serve_encoder(const ServeOptions& options, Front& front) {
  check(options.model.cluster.nodes == ClusterOptions().nodes, Kind::usage, "--nodes {}: {} is an encoder, which one process computes", options.model.cluster.nodes,
        options.model.model);
  check(options.embeddings.empty(), Kind::usage, "--embeddings: {} is an encoder itself", options.model.model);
  const auto encoder = load_encoder(options, options.model.model, options.model.name);
  Metrics metrics(encoder->name());
  const Closing closing{front};
  front.show({nullptr, encoder.get(), &metrics});
  say(options, {{"event", "ready"}, {"url", front.url()}, {"model", encoder->name()}, {"plan", nullptr}},
      fmt::format("ready: {}, vectors of {} for texts of at most {} tokens, at {}", encoder->name(), encoder->config().width, encoder->config().context, front.url()));
  announce(options.announce, front.url());
  front.wait();
  return 0;
}

int serve_with(const ServeOptions& options, Front& front, core::LlamaModel loaded, Cluster& cluster) {
  const auto encoder = options.embeddings.empty() ? nullptr : load_encoder(options, options.embeddings, "");
  Pace pace([&front](std::function<void()> work) { front.post(std::move(work)); });
  ServedModel model(options.model, std::move(loaded), cluster, [&pace] { pace.step_ended(); });
  Metrics metrics(model.name());
  const Closing closing{front};
  check(!encoder || encoder->name() != model.name(), Kind::usage, "--embeddings {}: the encoder has the model's name; --name gives the model another", options.embeddings);
  front.show({&model, encoder.get(), &metrics});
  const partition::Plan& plan = model.engine().plan();
  for (const std::string& note : cluster.notes()) fmt::print(stderr, "starling: {}\n", note);
  say(options, {{"event", "ready"}, {"url", front.url()}, {"model", model.name()}, {"plan", to_json(plan)}},
      fmt::format("ready: {} on {} node{}, {} sequences of {} tokens, at {}", model.name(), plan.ranks.size(), plan.ranks.size() == 1 ? "" : "s",
                  plan.sequences, plan.positions, front.url()));
  announce(options.announce, front.url());
  front.wait();
  return 0;
}

int run_serve(const ServeOptions& options) {
  const Lifeline lifeline(options.lifeline);
  HttpOptions http;
  parse_address(options.http, "--http", http);
  http.connections = options.connections;
  if (options.model.cluster.nodes_from_mpi()) {
    Cluster cluster(options.model.cluster);
    if (cluster.is_worker()) return cluster.serve();
    Front front(http, api_key(options));
    return serve_with(options, front, load_served(options.model), cluster);
  }
  // Before the server's thread, which children must not outlive and whose signals they would miss.
  Front front(http, api_key(options));
  say(options, {{"event", "listening"}, {"url", front.url()}}, "listening on " + front.url());
  if (core::is_bert(options.model.model)) return serve_encoder(options, front);
  core::LlamaModel loaded = load_served(options.model);
  Cluster cluster(options.model.cluster);
  try {
    return serve_with(options, front, std::move(loaded), cluster);
  } catch (const core::Error& error) {
    cluster.fail(error);
    throw;
  }
}

}  // namespace

std::function<int()> serve(CLI::App& app) {
  auto o = std::make_shared<ServeOptions>();
  add_model_options(app, o->model);
  app.add_option("--http", o->http, "HOST:PORT to listen on; another host than this machine needs a key; port 0: any")->capture_default_str();
  app.add_option("--api-key", o->key, "clients must send it as Authorization: Bearer KEY (default: STARLING_API_KEY)");
  app.add_option("--api-key-file", o->key_file, "file with the key, which other users of this machine cannot see in a list of processes");
  app.add_option("--name", o->model.name, "the model's id (default: its file's name)");
  app.add_option("--sequences", o->model.sequences, "answers that are computed at the same time, each with a cache of --ctx positions")
      ->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--queue", o->model.queue, "requests that wait beyond them; more are refused with status 429")->capture_default_str()->check(CLI::Range(1, 1 << 16));
  app.add_option("--embeddings", o->embeddings, "an encoder (GGUF or folder of the BERT kind) that answers /v1/embeddings beside MODEL; MODEL may be one itself");
  app.add_option("--connections", o->connections, "clients connected at the same time")->capture_default_str()->check(CLI::Range(1, 1 << 16));
  app.add_option("--lifeline", o->lifeline)->group("");
  app.add_option("--announce", o->announce)->group("");
  add_json_flag(app, o->json);
  return [o] { return run_serve(*o); };
}

}  // namespace starling::tools
