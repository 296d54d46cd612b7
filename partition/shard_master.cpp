// The master's half of tensor parallelism, and the single process as a group of one.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "comm/job.h"
#include "core/clock.h"
#include "partition/shard.h"
#include "partition/shard_step.h"
#include "partition/shard_transfer.h"

namespace starling::partition {

using core::check;
using core::Kind;

struct ShardedLlama::State {
  const core::LlamaModel& model;
  ShardOptions options;
  comm::Transport* transport;
  core::Pool& pool;
  std::vector<core::LlamaBlock> blocks;  // cut to this rank
  core::KvCache cache;
  core::LlamaWorkspace workspace;
  StepBuffer buffer;
  std::vector<float> logits;
  std::unique_ptr<core::Group> alone;
  std::unique_ptr<comm::TransportGroup> group;
  ShardReport report;
  bool finished = false;

  const core::LlamaSlice& slice() const { return options.plan.ranks.front().slice; }
  core::Group& ranks() { return group ? static_cast<core::Group&>(*group) : *alone; }

  State(const core::LlamaModel& m, const ShardOptions& o, comm::Transport* t, core::Pool& p)
      : model(m), options(o), transport(t), pool(p),
        cache(m.config, o.plan.ranks.front().slice, o.plan.kv_type, o.plan.positions),
        workspace(m.config, o.plan.ranks.front().slice, o.rows_max), buffer(o.rows_max, m.config.width),
        logits(static_cast<std::size_t>(m.config.vocabulary)) {}

  void distribute();
  void step(std::span<const core::TokenId> tokens, std::int64_t position);
  ShardReport collect(core::Rank from);
};

namespace {

std::vector<std::byte> receive_control(comm::Transport& transport, core::Rank from, comm::Kind kind) {
  const comm::Incoming incoming = transport.next(from, comm::kNoDeadline);
  check(incoming.kind == kind, Kind::malformed, "{}: sent a {} frame where {} was expected", transport.name(from),
        comm::to_string(incoming.kind), comm::to_string(kind));
  check(incoming.length <= 4096, Kind::malformed, "{}: {} of {} bytes", transport.name(from), comm::to_string(kind),
        incoming.length);
  std::vector<std::byte> bytes(incoming.length);
  transport.read(from, bytes, comm::kNoDeadline);
  return bytes;
}

}  // namespace

void ShardedLlama::State::distribute() {
  const Plan& plan = options.plan;
  for (core::Rank rank = 1; rank < transport->size(); ++rank) {
    ShardJob job;
    job.config = model.config;
    job.slice = plan.ranks[static_cast<std::size_t>(rank)].slice;
    job.sum = plan.sum;
    job.kv_type = plan.kv_type;
    job.positions = plan.positions;
    job.rows_max = options.rows_max;
    job.allreduce = options.allreduce;
    job.weight_bytes = plan.ranks[static_cast<std::size_t>(rank)].weight_bytes;
    transport->send(rank, comm::Kind::job, comm::encode_job({std::string(kShardService), encode(job)}),
                    comm::kNoDeadline);
    send_slice(*transport, rank, model, job.slice);
  }
  for (core::Rank rank = 1; rank < transport->size(); ++rank) {
    const Ready ready =
        decode_ready(receive_control(*transport, rank, comm::Kind::ready), transport->name(rank));
    RankPlan& planned = options.plan.ranks[static_cast<std::size_t>(rank)];
    check(ready.weight_bytes == planned.weight_bytes && ready.kv_bytes == planned.kv_bytes, Kind::malformed,
          "{}: holds {} bytes of weights and {} of cache, the plan says {} and {}", transport->name(rank),
          ready.weight_bytes, ready.kv_bytes, planned.weight_bytes, planned.kv_bytes);
  }
}

void ShardedLlama::State::step(std::span<const core::TokenId> tokens, std::int64_t position) {
  const auto rows = static_cast<std::int64_t>(tokens.size());
  const std::span<float> hidden = buffer.hidden(rows);
  core::embed(model.ends, tokens, hidden);
  if (transport) {
    buffer.set({static_cast<std::uint64_t>(position), static_cast<std::uint32_t>(rows)});
    for (core::Rank rank = 1; rank < transport->size(); ++rank)
      transport->send(rank, comm::Kind::step, buffer.bytes(buffer.size(rows)), comm::kNoDeadline);
  }
  const core::LlamaShard shard{model.config, slice(), blocks, options.plan.sum};
  const auto begin = comm::Clock::now();
  core::forward_blocks(shard, hidden, rows, position, cache, workspace, ranks(), pool);
  report.compute_ms += 1e3 * core::seconds_since(begin);
}

ShardReport ShardedLlama::State::collect(core::Rank from) {
  return decode_shard_report(receive_control(*transport, from, comm::Kind::report), transport->name(from));
}

ShardedLlama::ShardedLlama(const core::LlamaModel& model, const ShardOptions& options, comm::Transport* transport,
                           core::Pool& pool) {
  core::ensure(options.plan.ranks.size() == static_cast<std::size_t>(transport ? transport->size() : 1),
               "the plan and the transport disagree about the number of ranks");
  const auto start = comm::Clock::now();
  state_ = std::make_unique<State>(model, options, transport, pool);
  if (transport) state_->distribute();
  for (const core::LlamaBlock& block : model.blocks)
    state_->blocks.push_back(core::cut(block, model.config, state_->slice()));
  if (transport) {
    state_->group = std::make_unique<comm::TransportGroup>(*transport, options.allreduce, options.plan.sum,
                                                           model.config.width, options.rows_max);
  } else {
    state_->alone = std::make_unique<core::Alone>();
  }
  state_->report.weight_bytes = options.plan.ranks.front().weight_bytes;
  state_->report.kv_bytes = state_->cache.bytes();
  state_->report.load_ms = 1e3 * core::seconds_since(start);
}

ShardedLlama::~ShardedLlama() = default;

std::span<const float> ShardedLlama::forward(std::span<const core::TokenId> tokens, std::int64_t position) {
  State& s = *state_;
  const auto count = static_cast<std::int64_t>(tokens.size());
  check(count > 0 && position >= 0 && position + count <= s.options.plan.positions, Kind::usage,
        "{} tokens at position {} do not fit a cache of {} positions", count, position, s.options.plan.positions);
  std::int64_t done = 0;
  std::int64_t rows = 0;
  for (; done < count; done += rows) {
    rows = std::min(s.options.rows_max, count - done);
    s.step(tokens.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(rows)), position + done);
  }
  const auto width = static_cast<std::size_t>(s.model.config.width);
  const auto last = s.buffer.hidden(rows).subspan(static_cast<std::size_t>(rows - 1) * width, width);
  core::logits(s.model.ends, s.model.config, last, s.logits, s.pool);
  return s.logits;
}

std::int64_t ShardedLlama::positions() const { return state_->options.plan.positions; }

const Plan& ShardedLlama::plan() const { return state_->options.plan; }

const comm::TransportGroup* ShardedLlama::group() const { return state_->group.get(); }

std::vector<ShardReport> ShardedLlama::finish() {
  State& s = *state_;
  core::ensure(!s.finished, "finish() called twice");
  s.finished = true;
  if (s.group) {
    s.report.wait_ms = s.group->wait_ms();
    s.report.compute_ms -= s.report.wait_ms;
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  s.report.peak_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  std::vector<ShardReport> reports{s.report};
  if (!s.transport) return reports;
  for (core::Rank rank = 1; rank < s.transport->size(); ++rank)
    s.transport->send(rank, comm::Kind::finish, {}, comm::kNoDeadline);
  for (core::Rank rank = 1; rank < s.transport->size(); ++rank) reports.push_back(s.collect(rank));
  for (core::Rank rank = 1; rank < s.transport->size(); ++rank) {
    const comm::Counters counters = s.transport->counters(rank);
    reports.front().bytes_sent += counters.bytes_sent;
    reports.front().bytes_received += counters.bytes_received;
  }
  return reports;
}

}  // namespace starling::partition
