// An engine over threads as ranks, and decoders that write greedily, for tests.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "comm/connect.h"
#include "comm/frame.h"
#include "comm/heartbeat.h"
#include "comm/job.h"
#include "partition/engine.h"
#include "tests/partition/random_llama.h"

namespace starling::tests {

using core::TokenId;

inline core::LlamaConfig engine_config(std::int64_t layers = 2) {
  core::LlamaConfig c;
  c.width = 64;
  c.layers = layers;
  c.heads = 8;
  c.kv_heads = 4;
  c.head_size = 16;
  c.ffn = 176;
  c.vocabulary = 50;
  c.context = 1024;
  return c;
}

inline std::vector<TokenId> prompt_of(std::size_t kind, std::size_t count) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(static_cast<TokenId>((13 * kind + 7 * i + i * i * (kind + 1)) % 50));
  return tokens;
}

/// What came of a sequence: every token, and a hash over every logit.
struct Written {
  std::vector<TokenId> ids;
  std::uint64_t hash = 0;

  void add(std::span<const float> logits) {
    const std::uint64_t pair[2] = {hash, comm::checksum(std::as_bytes(logits))};
    hash = comm::checksum(std::as_bytes(std::span(pair)));
    ids.push_back(static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
  }
  friend bool operator==(const Written&, const Written&) = default;
};

/// Writes `count` tokens, the likeliest each time, and tells when it is over.
class Writer final : public partition::Decoder {
 public:
  explicit Writer(std::size_t count) : count_(count) {}

  void started(std::int64_t cached) override {
    const std::lock_guard lock(mutex_);
    cached_ = cached;
    changed_.notify_all();
  }
  std::optional<TokenId> next(std::span<const float> logits) override {
    if (during_next) during_next();
    const std::lock_guard lock(mutex_);
    written_.add(logits);
    over_ = written_.ids.size() == count_;
    changed_.notify_all();
    return over_ ? std::nullopt : std::optional(written_.ids.back());
  }
  void ended(partition::Ending ending, const core::Error& why) override {
    const std::lock_guard lock(mutex_);
    over_ = true;
    end_ = {ending, why.kind(), why.what()};
    changed_.notify_all();
  }

  struct End {
    partition::Ending ending{};
    core::Kind kind{};
    std::string why;
  };

  Written written() { return wait([&] { return over_; }), written_; }
  std::optional<End> end() { return wait([&] { return over_; }), end_; }
  std::int64_t cached() { return wait([&] { return cached_ >= 0; }), cached_; }

  std::function<void()> during_next;  // set before the request is submitted

 private:
  template <class Condition>
  void wait(const Condition& condition) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(60), condition)) throw std::runtime_error("the engine fell silent");
  }

  std::size_t count_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Written written_;
  std::int64_t cached_ = -1;
  bool over_ = false;
  std::optional<End> end_;
};

/// Passes everything on until its plug is pulled: then the rank that uses it fails while it waits for a frame.
class Pluggable final : public comm::Transport {
 public:
  Pluggable(comm::Transport& inner, const std::atomic<bool>& pulled) : inner_(inner), pulled_(pulled) {}
  core::Rank rank() const override { return inner_.rank(); }
  core::Rank size() const override { return inner_.size(); }
  std::string name(core::Rank peer) const override { return inner_.name(peer); }
  void send(core::Rank to, comm::Kind kind, core::Bytes payload, comm::Deadline deadline) override { inner_.send(to, kind, payload, deadline); }
  comm::Incoming next(core::Rank from, comm::Deadline) override {
    while (true) {
      core::check(!pulled_, core::Kind::unreachable, "the plug is pulled");
      try {
        return inner_.next(from, comm::after(std::chrono::milliseconds(20)));
      } catch (const core::Error& error) {
        if (error.kind() != core::Kind::timeout) throw;
      }
    }
  }
  void read(core::Rank from, std::span<std::byte> into, comm::Deadline d) override { inner_.read(from, into, d); }
  core::Rank wait_any(std::span<const core::Rank> among, comm::Deadline d) override { return inner_.wait_any(among, d); }
  void send_heartbeats() override { inner_.send_heartbeats(); }
  comm::Counters counters(core::Rank peer) const override { return inner_.counters(peer); }

 private:
  comm::Transport& inner_;
  const std::atomic<bool>& pulled_;
};

struct EngineSetup {
  std::int64_t sequences = 4, positions = 96, rows = 16;
  int ranks = 1, threads = 1;
  core::Type kv_type = core::Type::f16;
  partition::EngineOptions engine = {};
};

/// A model on ranks that are threads, under an engine.
class EngineRun {
 public:
  EngineRun(const core::LlamaModel& model, const EngineSetup& setup) : pool_(setup.threads) {
    transports_ = comm::inproc_group(setup.ranks);
    for (std::size_t rank = 1; rank < transports_.size(); ++rank) workers_.emplace_back([this, rank] { serve(rank); });
    comm::Transport* transport = setup.ranks > 1 ? transports_[0].get() : nullptr;
    if (transport) heartbeat_ = std::make_unique<comm::Heartbeat>(*transport);
    partition::PlanOptions plan;
    plan.shares.assign(static_cast<std::size_t>(setup.ranks), 1.0);
    for (int i = 0; i < setup.ranks; ++i) plan.names.push_back("rank-" + std::to_string(i));
    plan.positions = setup.positions;
    plan.sequences = setup.sequences;
    plan.kv_type = setup.kv_type;
    model_ = std::make_unique<partition::ShardedLlama>(
        model, partition::ShardOptions{partition::make_plan(model, plan), setup.rows, "star"}, transport, pool_);
    engine_ = std::make_unique<partition::Engine>(*model_, setup.engine);
  }

  ~EngineRun() {
    const bool failed = !engine_->status().failure.empty();
    engine_.reset();
    if (transports_.size() == 1 || failed) return;
    model_->finish();
    comm::end_session(*transports_[0]);
  }

  partition::Engine& engine() { return *engine_; }
  /// The last rank fails as soon as it waits for a frame.
  void pull_the_plug() { pulled_ = true; }

  std::shared_ptr<Writer> submit(std::vector<TokenId> prompt, std::size_t count, std::function<void()> during_next = {}) {
    auto writer = std::make_shared<Writer>(count);
    writer->during_next = std::move(during_next);
    engine_->submit({std::move(prompt), writer});
    return writer;
  }

 private:
  void serve(std::size_t rank) {
    const std::vector<comm::Service> services{
        {partition::kShardService, [](comm::Transport& t, core::Bytes settings) { partition::serve_shard(t, settings, {}); }}};
    try {
      if (rank + 1 < transports_.size()) return comm::serve_session(*transports_[rank], services);
      Pluggable last(*transports_[rank], pulled_);
      comm::serve_session(last, services);
    } catch (const core::Error&) {
      // The engine's side tells of it.
    }
  }

  core::Pool pool_;
  std::atomic<bool> pulled_{false};
  std::vector<std::unique_ptr<comm::Transport>> transports_;
  std::vector<std::jthread> workers_;
  std::unique_ptr<comm::Heartbeat> heartbeat_;
  std::unique_ptr<partition::ShardedLlama> model_;
  std::unique_ptr<partition::Engine> engine_;
};

/// The same by the model alone, one token at a time, without engine.
inline Written written_alone(const core::LlamaModel& model, std::span<const TokenId> prompt, std::size_t count, core::Type kv_type) {
  partition::PlanOptions plan;
  plan.shares = {1.0}, plan.names = {"alone"};
  plan.positions = static_cast<std::int64_t>(prompt.size() + count);
  plan.kv_type = kv_type;
  core::Pool pool(1);
  partition::ShardedLlama alone(model, {partition::make_plan(model, plan), 1, "star"}, nullptr, pool);
  Written written;
  std::int64_t position = 0;
  for (const TokenId token : prompt.first(prompt.size() - 1)) alone.forward({&token, 1}, position++);
  TokenId token = prompt.back();
  while (written.ids.size() < count) {
    written.add(alone.forward({&token, 1}, position++));
    token = written.ids.back();
  }
  return written;
}

}  // namespace starling::tests
