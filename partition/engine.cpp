#include "partition/engine.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "core/clock.h"
#include "partition/pooling.h"

namespace starling::partition {

using core::check;
using core::Error;
using core::Kind;
using core::TokenId;

constexpr auto kIdleCheck = std::chrono::milliseconds(500);  // how soon a rank that is lost between requests is noticed

/// A request on its way: its decoder, or what becomes of its embedding.
struct Live {
  std::shared_ptr<Decoder> decoder;
  Engine::Embedded embedded;
  std::unique_ptr<MeanPooling> pooling;
  std::size_t prompt = 0;

  void end(Ending ending, const Error& why) const {
    if (decoder) decoder->ended(ending, why);
    if (embedded) embedded({}, &why);
  }
};

struct Arrival {
  SequenceId id;
  std::vector<TokenId> tokens;
  Live live;
};

struct Engine::State {
  ShardedLlama& model;
  const EngineOptions options;
  const bool alone;

  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Arrival> inbox;        // under mutex, as all up to `status`
  std::vector<SequenceId> cancels;
  std::int64_t waiting = 0;          // in the inbox and in the schedule
  SequenceId last_id = 0;
  bool stop = false;
  std::string refusal;               // why nothing more comes in; empty while it may
  EngineStatus status;

  Schedule schedule;  // the engine's thread's own, as all that follows
  std::unordered_map<SequenceId, Live> live;
  std::vector<Arrival> arrived;
  std::vector<SequenceId> cancelled;
  std::vector<Turn> turns;
  std::vector<Feed> feeds;
  std::vector<float> rows;  // {rows_max, D}, for embeddings
  EngineStatus counts;      // copied to `status` after every step
  std::thread thread;

  State(ShardedLlama& m, const EngineOptions& o)
      : model(m), options(o), alone(m.group() == nullptr),
        schedule({m.plan().sequences, m.positions(), m.rows_max(), o.reuse_prefixes}) {
    core::ensure(o.queue > 0, "a queue for no request");
    counts.sequences = m.plan().sequences;
    counts.positions = m.plan().sequences * m.positions();
    counts.batch_sizes.resize(static_cast<std::size_t>(counts.sequences) + 1);
    turns.reserve(static_cast<std::size_t>(counts.sequences));
    feeds.reserve(static_cast<std::size_t>(counts.sequences));
    status = counts;
  }

  SequenceId submit(std::vector<TokenId> tokens, Live request);
  void run();
  bool take();
  void check_idle();
  void step();
  void compute();
  void serve(std::size_t index);
  void serve_embedding(std::size_t index, const Live& request);
  void give_next_token(const Turn& turn, std::size_t index, Live& request);
  void finish(SequenceId id);
  void end(SequenceId id, Ending ending, const Error& why);
  void end_step(const Error& why);
  void fail(const Error& why);
  void end_all(Ending ending, const Error& why);
  void publish();
};

SequenceId Engine::State::submit(std::vector<TokenId> tokens, Live request) {
  check(!tokens.empty(), Kind::usage, "the prompt has no token");
  check(static_cast<std::int64_t>(tokens.size()) <= model.positions(), Kind::usage, "a prompt of {} tokens does not fit a context of {}",
        tokens.size(), model.positions());
  for (const TokenId token : tokens)
    check(token >= 0 && token < model.config().vocabulary, Kind::usage, "token id {} is outside the vocabulary of {}", token,
          model.config().vocabulary);
  request.prompt = tokens.size();
  const std::lock_guard lock(mutex);
  check(refusal.empty() && !stop, Kind::unreachable, "no more requests are taken: {}", stop ? "the engine stops" : refusal);
  check(waiting < options.queue, Kind::overloaded, "{} requests are waiting already", waiting);
  ++waiting;
  inbox.push_back({++last_id, std::move(tokens), std::move(request)});
  wake.notify_one();
  return last_id;
}

void Engine::State::run() {
  while (take())
    if (!schedule.idle()) step();
  end_all(Ending::cancelled, Error(Kind::refused, "the engine stops"));
}

/// Waits for work and takes what came; false at the end.
bool Engine::State::take() {
  {
    std::unique_lock lock(mutex);
    while (!stop && inbox.empty() && cancels.empty() && schedule.idle()) {
      if (wake.wait_for(lock, kIdleCheck) == std::cv_status::no_timeout || !status.failure.empty()) continue;
      lock.unlock();
      check_idle();
      lock.lock();
    }
    if (stop) return false;
    std::swap(arrived, inbox);
    std::swap(cancelled, cancels);
  }
  for (Arrival& arrival : arrived) {
    const bool whole = arrival.live.embedded != nullptr;
    live.emplace(arrival.id, std::move(arrival.live));
    schedule.arrive(arrival.id, std::move(arrival.tokens), whole);
  }
  arrived.clear();
  for (const SequenceId id : cancelled)
    if (schedule.end(id)) end(id, Ending::cancelled, Error(Kind::refused, "cancelled"));
  if (!cancelled.empty()) publish();
  cancelled.clear();
  return true;
}

void Engine::State::check_idle() {
  try {
    model.check_ranks();
  } catch (const Error& error) {
    fail(error);
  }
}

void Engine::State::step() {
  const std::span<const Turn> planned = schedule.plan();
  turns.assign(planned.begin(), planned.end());
  for (const Turn& turn : turns) {
    counts.computed_tokens += turn.tokens.size();
    if (!turn.first) continue;
    const Live& request = live.at(turn.id);
    counts.prompt_tokens += request.prompt;
    counts.reused_tokens += static_cast<std::uint64_t>(turn.position);
    if (request.decoder) request.decoder->started(turn.position);
  }
  publish();
  try {
    compute();
  } catch (const std::exception& error) {  // memory may be short as well
    const auto* ours = dynamic_cast<const Error*>(&error);
    const Error why = ours ? *ours : Error(Kind::internal, error.what());
    schedule.abandoned();
    end_step(why);
    return alone ? publish() : fail(why);
  }
  schedule.computed();
  for (std::size_t i = 0; i < turns.size(); ++i) serve(i);
  publish();
  if (options.after_step) options.after_step();
}

void Engine::State::compute() {
  const auto begin = std::chrono::steady_clock::now();
  feeds.clear();
  for (const Turn& turn : turns)
    feeds.push_back({turn.slot, turn.source, turn.position, turn.tokens, turn.last && live.at(turn.id).decoder != nullptr});
  model.step(feeds);
  ++counts.steps;
  ++counts.batch_sizes[turns.size()];
  counts.step_seconds += core::seconds_since(begin);
  if (!alone) counts.wait_seconds = model.group()->wait_ms() / 1e3;
}

/// Hands the results of turn number `index` to its request. One that fails ends alone.
void Engine::State::serve(std::size_t index) {
  const Turn& turn = turns[index];
  Live& request = live.at(turn.id);
  try {
    if (request.embedded)
      serve_embedding(index, request);
    else if (turn.last)
      give_next_token(turn, index, request);
  } catch (const std::exception& error) {
    schedule.end(turn.id);
    end(turn.id, Ending::failed, Error(Kind::internal, error.what()));
  }
}

void Engine::State::serve_embedding(std::size_t index, const Live& request) {
  const Turn& turn = turns[index];
  rows.resize(static_cast<std::size_t>(model.rows_max() * model.config().width));
  const auto part = std::span(rows).first(turn.tokens.size() * static_cast<std::size_t>(model.config().width));
  model.normed(index, part);
  request.pooling->add(part);
  if (!turn.last) return;
  schedule.end(turn.id);
  const Live done = std::move(live.at(turn.id));
  finish(turn.id);
  done.embedded(done.pooling->result(), nullptr);
}

void Engine::State::give_next_token(const Turn& turn, std::size_t index, Live& request) {
  const std::optional<TokenId> token = request.decoder->next(model.logits(index));
  if (!token) {
    schedule.end(turn.id);
    return finish(turn.id);
  }
  core::ensure(*token >= 0 && *token < model.config().vocabulary, "a decoder chose a token outside the vocabulary");
  ++counts.generated_tokens;
  if (schedule.append(turn.id, *token)) return;
  const Live done = std::move(request);
  finish(turn.id);
  done.end(Ending::context_full, Error(Kind::usage, fmt::format("the context of {} tokens is full", model.positions())));
}

void Engine::State::finish(SequenceId id) {
  live.erase(id);
  ++counts.finished;
}

void Engine::State::end(SequenceId id, Ending ending, const Error& why) {
  const auto node = live.extract(id);
  if (node.empty()) return;
  ++(ending == Ending::cancelled ? counts.cancelled : counts.failed);
  node.mapped().end(ending, why);
}

/// Everything of the step that failed.
void Engine::State::end_step(const Error& why) {
  for (const Turn& turn : turns) end(turn.id, Ending::failed, why);
}

/// The ranks are no longer at the same place. The status tells of it once everything has ended, so whoever reads of
/// the failure finds no request running or waiting.
void Engine::State::fail(const Error& why) {
  counts.failure = why.what();
  end_all(Ending::failed, Error(Kind::unreachable, why.what()));
  publish();
}

/// Everything that runs or waits; from here on nothing comes in.
void Engine::State::end_all(Ending ending, const Error& why) {
  {
    const std::lock_guard lock(mutex);
    refusal = why.what();
    for (Arrival& arrival : inbox) live.emplace(arrival.id, std::move(arrival.live));
    inbox.clear();
  }
  std::vector<SequenceId> ids;
  for (const auto& [id, request] : live) ids.push_back(id);
  for (const SequenceId id : ids) {
    schedule.end(id);
    end(id, ending, why);
  }
}

void Engine::State::publish() {
  counts.running = schedule.running();
  counts.positions_used = schedule.positions_used();
  const std::lock_guard lock(mutex);
  waiting = schedule.waiting() + static_cast<std::int64_t>(inbox.size());
  status = counts;
}

Engine::Engine(ShardedLlama& model, const EngineOptions& options) : state_(std::make_unique<State>(model, options)) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Engine::~Engine() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
    state_->wake.notify_one();
  }
  state_->thread.join();
}

SequenceId Engine::submit(Request request) {
  core::ensure(request.decoder != nullptr, "a request without a decoder");
  Live live;
  live.decoder = std::move(request.decoder);
  return state_->submit(std::move(request.prompt), std::move(live));
}

void Engine::cancel(SequenceId id) {
  const std::lock_guard lock(state_->mutex);
  state_->cancels.push_back(id);
  state_->wake.notify_one();
}

SequenceId Engine::embed(std::vector<TokenId> tokens, Embedded done) {
  core::ensure(done != nullptr, "an embedding for nobody");
  Live live;
  live.embedded = std::move(done);
  live.pooling = std::make_unique<MeanPooling>(state_->model.config().width);
  return state_->submit(std::move(tokens), std::move(live));
}

EngineStatus Engine::status() const {
  const std::lock_guard lock(state_->mutex);
  EngineStatus status = state_->status;
  status.waiting = state_->waiting;
  return status;
}

const Plan& Engine::plan() const { return state_->model.plan(); }

}  // namespace starling::partition
