#include "tools/serve/api.h"

#include <cmath>

#include "tools/serve/chat_page.h"
#include "tools/serve/generation.h"
#include "tools/serve/resident.h"

namespace starling::tools {
namespace {

constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

HttpReply json_reply(const Json& json, int status = 200) { return {status, "application/json", dump(json), {}}; }

void expect_method(const HttpRequest& request, const std::string& method) {
  if (request.method != method && !(method == "GET" && request.method == "HEAD"))
    throw ApiError(405, "invalid_request_error", fmt::format("{} is for {}", request.path, method));
}

bool is_post(const std::string& path) { return path == "/v1/chat/completions" || path == "/v1/completions" || path == "/v1/embeddings"; }

/// Names of endpoints as metrics show them: whatever else is asked for is one.
std::string endpoint(const std::string& path) {
  for (const char* known : {"/", "/health", "/healthz", "/readyz", "/metrics", "/cluster", "/v1/models"})
    if (path == known) return path;
  return is_post(path) ? path : path.starts_with("/v1/models/") ? "/v1/models/" : "other";
}

/// Tells the metrics how a request was answered.
class Counted final : public Exchange {
 public:
  Counted(std::shared_ptr<Exchange> inner, Metrics& metrics, std::string name)
      : inner_(std::move(inner)), metrics_(metrics), endpoint_(std::move(name)) {}
  void reply(HttpReply reply) override {
    metrics_.answered(endpoint_, reply.status);
    inner_->reply(std::move(reply));
  }
  void stream() override {
    metrics_.answered(endpoint_, 200);
    inner_->stream();
  }
  void event(std::string_view data) override { inner_->event(data); }
  void end() override { inner_->end(); }
  void on_gone(std::function<void()> gone) override { inner_->on_gone(std::move(gone)); }
  void run(std::function<void()> work) override { inner_->run(std::move(work)); }

 private:
  std::shared_ptr<Exchange> inner_;
  Metrics& metrics_;
  std::string endpoint_;
};

MetricGauges gauges(const ServedModel& model) {
  const partition::EngineStatus status = model.engine().status();
  MetricGauges gauges;
  gauges.running = status.running;
  gauges.waiting = status.waiting;
  gauges.kv_positions = status.positions_used;
  gauges.kv_positions_max = status.positions;
  for (const partition::RankPlan& rank : model.engine().plan().ranks) gauges.nodes.push_back({rank.name, rank.weight_bytes, rank.kv_bytes});
  gauges.resident_bytes = resident_bytes();
  return gauges;
}

/// Nothing is to be written: the prompt comes back, or an empty text.
void answer_nothing(GenerationJob job, const std::shared_ptr<Exchange>& exchange) {
  Answer answer(exchange, job.answer);
  answer.begin();
  SessionEvent end;
  end.reason = "length";
  for (int choice = 0; choice < job.answer.choices; ++choice) answer.event(choice, end);
}

}  // namespace

Json cluster_state(const ServedModel& model, const Metrics& metrics) {
  const partition::EngineStatus status = model.engine().status();
  const partition::Plan& plan = model.engine().plan();
  Json nodes = Json::array();
  for (std::size_t i = 0; i < plan.ranks.size(); ++i) {
    const partition::RankPlan& rank = plan.ranks[i];
    Json node{{"name", rank.name}, {"share", rank.share}, {"weight_bytes", rank.weight_bytes}, {"kv_bytes", rank.kv_bytes}};
    if (i < model.nodes().size()) {
      node["threads"] = model.nodes()[i].threads;
      node["memory_bytes"] = model.nodes()[i].memory_bytes;
    }
    nodes.push_back(std::move(node));
  }
  return {{"model", model.name()},
          {"partition", plan.partition},
          {"context", plan.positions},
          {"running", status.running},
          {"waiting", status.waiting},
          {"sequences", status.sequences},
          {"positions_used", status.positions_used},
          {"positions", status.positions},
          {"prompt_tokens", status.prompt_tokens},
          {"reused_tokens", status.reused_tokens},
          {"generated_tokens", metrics.generated()},
          {"steps", status.steps},
          {"step_seconds", status.step_seconds},
          {"wait_seconds", status.wait_seconds},
          {"failure", status.failure},
          {"nodes", std::move(nodes)}};
}

void Api::set_model(ServedModel* model, Metrics* metrics) {
  model_ = model;
  metrics_ = metrics;
}

ServedModel& Api::model() const {
  if (stopping_) throw ApiError(503, "unavailable_error", "the server is stopping");
  if (!model_) throw ApiError(503, "unavailable_error", "the model is being loaded", "", "model_loading");
  return *model_;
}

void Api::handle(HttpRequest request, std::shared_ptr<Exchange> exchange) {
  if (metrics_) exchange = std::make_shared<Counted>(std::move(exchange), *metrics_, endpoint(request.path));
  try {
    if (!route_page(request, *exchange)) {
      admit(admission_, request);
      route(request, exchange);
    }
  } catch (const std::exception& error) {
    HttpReply reply = error_reply(as_api_error(error));
    if (reply.status == 405) reply.headers.emplace_back("Allow", is_post(request.path) ? "POST" : "GET");
    exchange->reply(std::move(reply));
  }
}

/// What needs no key: the page, which has no secrets, and whether the server is well.
bool Api::route_page(const HttpRequest& request, Exchange& exchange) const {
  const std::string& path = request.path;
  const bool ready = model_ && !stopping_ && model_->engine().status().failure.empty();
  if (path == "/") {
    expect_method(request, "GET");
    exchange.reply({200, "text/html; charset=utf-8", std::string(chat_page()), {{"Content-Security-Policy", "default-src 'self' 'unsafe-inline'; img-src data:"}}});
  } else if (path == "/favicon.ico") {
    exchange.reply({204, "image/x-icon", "", {}});
  } else if (path == "/healthz") {
    expect_method(request, "GET");
    exchange.reply(json_reply({{"status", "ok"}}));
  } else if (path == "/health" || path == "/readyz") {
    expect_method(request, "GET");
    if (!ready) model();
    if (!ready) throw ApiError(503, "unavailable_error", model_->engine().status().failure);
    exchange.reply(json_reply({{"status", "ok"}}));
  } else {
    return false;
  }
  return true;
}

void Api::route(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  const std::string& path = request.path;
  static constexpr std::string_view kModel = "/v1/models/";
  if (is_post(path)) {
    expect_method(request, "POST");
    return post(request, exchange);
  }
  if (path != "/metrics" && path != "/cluster" && path != "/v1/models" && !path.starts_with(kModel))
    throw ApiError(404, "not_found_error", fmt::format("there is no {} here", path.substr(0, 80)), "", "unknown_url");
  expect_method(request, "GET");
  ServedModel& served = model();
  if (path == "/metrics") return exchange->reply({200, kMetricsType, metrics_->text(gauges(served)), {}});
  if (path == "/cluster") return exchange->reply(json_reply(cluster_state(served, *metrics_)));
  if (path == "/v1/models") return exchange->reply(json_reply(model_list(served.name(), served.created())));
  check_model(path.substr(kModel.size()));
  exchange->reply(json_reply(model_entry(served.name(), served.created())));
}

void Api::post(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  if (const std::string failure = model().engine().status().failure; !failure.empty()) throw ApiError(503, "unavailable_error", failure);
  if (request.path == "/v1/completions") complete(decode_completion_request(request.body), exchange);
  else if (request.path == "/v1/embeddings") embed(decode_embedding_request(request.body), exchange);
  else chat(decode_chat_request(request.body), exchange);
}

void Api::check_model(const std::string& name) const {
  if (name.empty() || name == model().name()) return;
  throw ApiError(404, "not_found_error", fmt::format("the model '{}' is not here; this server has '{}'", name.substr(0, 120), model().name()), "model",
                 "model_not_found");
}

void Api::complete(const CompletionRequest& request, const std::shared_ptr<Exchange>& exchange) {
  const GenerationRequest& g = request.generation;
  check_model(g.model);
  GenerationJob job;
  const std::uint64_t seed = random_seed();
  const auto grammar = answer_grammar(g.format, "");
  for (const Prompt& prompt : request.prompts) {
    job.prompts.push_back(encode_prompt(model(), prompt, "prompt"));
    job.answer.prompt_tokens += static_cast<std::int64_t>(job.prompts.back().size());
    for (int choice = 0; choice < g.choices; ++choice) {
      job.settings.push_back(session_settings(model(), g, job.prompts.back().size(), seed, choice));
      job.settings.back().grammar = grammar;
      job.settings.back().trie = model().trie();
      if (request.echo) job.answer.echo.push_back(std::holds_alternative<std::string>(prompt) ? std::get<std::string>(prompt) : model().tokenizer().decode(job.prompts.back()));
    }
  }
  job.answer.kind = Answer::Kind::completion;
  job.answer.head = {new_id("cmpl-"), seconds_since_1970(), model().name(), g.logprobs.has_value(), g.include_usage};
  job.answer.choices = static_cast<int>(job.settings.size());
  job.answer.stream = g.stream;
  if (g.tokens == 0) return answer_nothing(std::move(job), exchange);
  generate(model(), *metrics_, std::move(job), exchange);
}

}  // namespace starling::tools
