#include "tools/serve/generation.h"

#include "core/text/grammar/json_schema.h"

namespace starling::tools {
namespace {

using Clock = std::chrono::steady_clock;
using partition::SequenceId;

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

/// Times of one sequence, told to the metrics as they pass; on the engine's thread.
class Stopwatch {
 public:
  Stopwatch(Metrics& metrics, std::int64_t prompt) : metrics_(&metrics), prompt_(prompt), arrival_(Clock::now()), last_(arrival_) {}

  void see(const SessionEvent& event) {
    const auto now = Clock::now();
    if (event.cached) {
      metrics_->queued(seconds(now - arrival_));
      metrics_->prompt_tokens(prompt_, *event.cached);
    }
    if (event.tokens > tokens_) {
      if (tokens_ == 0) metrics_->first_token(seconds(now - arrival_));
      else metrics_->next_token(seconds(now - last_));
      metrics_->generated_token();
      tokens_ = event.tokens;
      last_ = now;
    }
    if (event.error) metrics_->finished("error", seconds(now - arrival_));
    else if (!event.reason.empty()) metrics_->finished(event.reason, seconds(now - arrival_));
  }

 private:
  Metrics* metrics_;
  std::int64_t prompt_, tokens_ = 0;
  Clock::time_point arrival_, last_;
};

bool says_something(const SessionEvent& event) {
  return !event.text.empty() || !event.logprobs.empty() || event.cached || !event.reason.empty() || event.error;
}

}  // namespace

/// What a request's sequences and its answer share.
struct Generations::Job {
  partition::Engine& engine;
  Answer answer;
  std::vector<SequenceId> ids;

  void cancel_all() {
    for (const SequenceId id : ids) engine.cancel(id);
  }
  /// Nobody waits for the answer.
  void abandon() {
    answer.abandon();
    cancel_all();
  }
};

std::vector<core::TokenId> encode_prompt(const core::Tokenizer& tokenizer, std::int64_t vocabulary, const Prompt& prompt, const std::string& param) {
  const auto* text = std::get_if<std::string>(&prompt);
  const auto ids = text ? tokenizer.encode(*text) : std::get<std::vector<core::TokenId>>(prompt);
  for (const core::TokenId id : ids)
    if (id >= vocabulary) throw invalid(param, fmt::format("{}: the model has no token {}", param, id));
  if (ids.empty()) throw invalid(param, fmt::format("{}: there is no token in it", param));
  return ids;
}

void check_room(const ServedModel& model, std::size_t tokens, const std::string& param) {
  if (static_cast<std::int64_t>(tokens) < model.context()) return;
  throw invalid(param, fmt::format("{}: {} tokens leave no room to write in the context of {}", param, tokens, model.context()),
                "context_length_exceeded");
}

SessionSettings session_settings(const ServedModel& model, const GenerationRequest& request, std::size_t prompt_tokens,
                                 std::uint64_t seed, int choice) {
  SessionSettings settings;
  settings.sampler.temperature = static_cast<float>(request.temperature);
  settings.sampler.top_k = static_cast<int>(request.top_k);
  settings.sampler.top_p = static_cast<float>(request.top_p);
  settings.sampler.min_p = static_cast<float>(request.min_p);
  settings.sampler.repeat_penalty = static_cast<float>(request.repetition_penalty);
  // Choices of one request differ, and the first is what a request for one choice gives.
  settings.sampler.seed = (request.seed ? static_cast<std::uint64_t>(*request.seed) : seed) + 0x9E3779B97F4A7C15u * static_cast<std::uint64_t>(choice);
  settings.sampler.logit_bias = request.logit_bias;
  for (const auto& [id, bias] : request.logit_bias)
    if (id >= model.vocabulary()) throw invalid("logit_bias", fmt::format("logit_bias: the model has no token {}", id));
  const std::int64_t room = model.context() - static_cast<std::int64_t>(prompt_tokens);
  settings.tokens = std::min(request.tokens.value_or(room), room);
  settings.stop = request.stop;
  settings.logprobs = request.logprobs;
  settings.sampler.presence_penalty = static_cast<float>(request.presence_penalty);
  settings.sampler.frequency_penalty = static_cast<float>(request.frequency_penalty);
  return settings;
}

std::shared_ptr<const core::Grammar> answer_grammar(const OutputFormat& format, const std::string& forced) {
  if (!forced.empty()) return core::Grammar::parse(forced);
  try {
    switch (format.kind) {
      case OutputFormat::Kind::text: return nullptr;
      case OutputFormat::Kind::json_object: return core::Grammar::parse(core::json_object_grammar());
      case OutputFormat::Kind::json_schema: return core::Grammar::parse(core::json_schema_grammar(Json::parse(format.source)));
      case OutputFormat::Kind::grammar: return core::Grammar::parse(format.source);
    }
  } catch (const core::Error& error) {
    throw invalid(format.kind == OutputFormat::Kind::grammar ? "grammar" : "response_format", error.what());
  }
  return nullptr;
}

bool Generations::cancel(const std::string& id) {
  const auto found = jobs_.find(id);
  const auto job = found == jobs_.end() ? nullptr : found->second.lock();
  if (!job || job->answer.over()) return false;
  job->answer.stop();
  job->cancel_all();
  return true;
}

void Generations::start(ServedModel& model, Metrics& metrics, GenerationJob job, const std::shared_ptr<Exchange>& exchange) {
  const std::size_t each = job.settings.size() / job.prompts.size();
  const std::string id = job.answer.head.id;
  auto shared = std::make_shared<Job>(Job{model.engine(), Answer(exchange, std::move(job.answer)), {}});
  for (std::size_t choice = 0; choice < job.settings.size(); ++choice) {
    std::vector<core::TokenId> prompt = job.prompts[choice / each];
    auto listen = [shared, exchange, watch = Stopwatch(metrics, static_cast<std::int64_t>(prompt.size())),
                   index = static_cast<int>(choice)](SessionEvent event) mutable {
      watch.see(event);
      if (!says_something(event)) return;
      exchange->run([shared, index, event = std::move(event)] {
        if (shared->answer.over()) return;
        shared->answer.event(index, event);
        if (event.error) shared->abandon();
      });
    };
    partition::Request request;
    request.prompt = prompt;
    request.decoder = std::make_shared<Session>(model.tokenizer(), std::move(prompt), std::move(job.settings[choice]), std::move(listen));
    try {
      shared->ids.push_back(model.engine().submit(std::move(request)));
    } catch (const core::Error&) {
      shared->abandon();
      throw;
    }
  }
  shared->answer.begin();
  std::erase_if(jobs_, [](const auto& entry) { return entry.second.expired(); });
  jobs_.emplace(id, shared);
  exchange->on_gone([shared] { shared->abandon(); });
}

}  // namespace starling::tools
