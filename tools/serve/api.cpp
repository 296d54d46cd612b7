#include "tools/serve/api.h"

#include <cmath>

#include "tools/serve/chat_page.h"

namespace starling::tools {
namespace {

constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

HttpReply json_reply(const Json& json, int status = 200) { return {status, "application/json", dump(json), {}}; }

void expect_method(const HttpRequest& request, const std::string& method) {
  if (request.method != method && !(method == "GET" && request.method == "HEAD"))
    throw ApiError(405, "invalid_request_error", fmt::format("{} is for {}", request.path, method));
}

bool is_post(const std::string& path) {
  return path == "/v1/chat/completions" || path == "/v1/completions" || path == "/v1/embeddings" || path == "/v1/cancel";
}

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

/// Nothing is to be written: the prompt comes back, or an empty text.
void answer_nothing(GenerationJob job, const std::shared_ptr<Exchange>& exchange) {
  Answer answer(exchange, job.answer);
  answer.begin();
  SessionEvent end;
  end.reason = "length";
  for (int choice = 0; choice < job.answer.choices; ++choice) answer.event(choice, end);
}

}  // namespace

const Served& Api::served() const {
  if (stopping_) throw ApiError(503, "unavailable_error", "the server is stopping");
  if (!served_.model && !served_.encoder) throw ApiError(503, "unavailable_error", "the model is being loaded", "", "model_loading");
  return served_;
}

ServedModel& Api::model() const {
  if (served().model) return *served_.model;
  throw invalid("model", fmt::format("{} is an encoder: it makes vectors of texts (/v1/embeddings), but writes none", served_.encoder->name()), "model_not_supported");
}

std::string Api::failure() const { return served_.model ? served_.model->engine().status().failure : ""; }

void Api::handle(HttpRequest request, std::shared_ptr<Exchange> exchange) {
  if (served_.metrics) exchange = std::make_shared<Counted>(std::move(exchange), *served_.metrics, endpoint(request.path));
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
    served();
    if (!failure().empty()) throw ApiError(503, "unavailable_error", failure());
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
  const Served& all = served();
  if (path == "/metrics") return exchange->reply({200, kMetricsType, all.metrics->text(gauges(all)), {}});
  if (path == "/cluster") return exchange->reply(json_reply(cluster_state(all)));
  if (path == "/v1/models") return exchange->reply(json_reply(model_list(model_entries(all))));
  const std::string name = path.substr(kModel.size());
  for (const Json& entry : model_entries(all))
    if (entry.at("id") == name) return exchange->reply(json_reply(entry));
  throw no_model(name);
}

void Api::post(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  served();
  if (!failure().empty()) throw ApiError(503, "unavailable_error", failure());
  if (request.path == "/v1/cancel") cancel(decode_cancel_request(request.body), *exchange);
  else if (request.path == "/v1/completions") complete(decode_completion_request(request.body), exchange);
  else if (request.path == "/v1/embeddings") embed(decode_embedding_request(request.body), exchange);
  else chat(decode_chat_request(request.body), exchange);
}

ApiError Api::no_model(const std::string& name) const {
  std::string here;
  for (const Json& entry : model_entries(served_)) here += fmt::format("{}'{}'", here.empty() ? "" : " and ", entry.at("id").get<std::string>());
  return ApiError(404, "not_found_error", fmt::format("the model '{}' is not here; this server has {}", name.substr(0, 120), here), "model", "model_not_found");
}

void Api::check_writer(const std::string& name) const {
  if (name.empty() || name == model().name()) return;
  if (served_.encoder && name == served_.encoder->name()) throw invalid("model", fmt::format("{} is an encoder and writes no text; '{}' does", name, model().name()), "model_not_supported");
  throw no_model(name);
}

void Api::cancel(const std::string& id, Exchange& exchange) {
  if (!generations_.cancel(id))
    throw ApiError(404, "not_found_error", fmt::format("no answer '{}' is under way", id.substr(0, 80)), "id", "completion_not_found");
  exchange.reply(json_reply({{"id", id}, {"object", "cancellation"}, {"cancelled", true}}));
}

void Api::complete(const CompletionRequest& request, const std::shared_ptr<Exchange>& exchange) {
  const GenerationRequest& g = request.generation;
  check_writer(g.model);
  GenerationJob job;
  const std::uint64_t seed = random_seed();
  const auto grammar = answer_grammar(g.format, "");
  for (const Prompt& prompt : request.prompts) {
    job.prompts.push_back(encode_prompt(model().tokenizer(), model().vocabulary(), prompt, "prompt"));
    check_room(model(), job.prompts.back().size(), "prompt");
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
  generations_.start(model(), *served_.metrics, std::move(job), exchange);
}

}  // namespace starling::tools
