// The master's half of tensor parallelism, and the single process as a group of one.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "comm/job.h"
#include "core/clock.h"
#include "core/models/pack.h"
#include "partition/shard.h"
#include "partition/shard_step.h"
#include "partition/shard_transfer.h"
#include "partition/step_caches.h"

namespace starling::partition {

using core::check;
using core::Kind;

namespace {

/// The model's configuration for caches of `positions`: some are stretched only where those are many.
core::LlamaConfig fitted(core::LlamaConfig config, std::int64_t positions) {
  core::scale_rope(config, positions, "the model");
  return config;
}

}  // namespace

struct ShardedLlama::State {
  const core::LlamaModel& model;
  core::LlamaConfig config;  // the model's, for the positions of the plan
  ShardOptions options;
  comm::Transport* transport;
  core::Pool& pool;
  std::vector<core::LlamaBlock> blocks;  // cut to this rank, and packed
  core::LlamaEnds ends;                  // packed
  StepCaches caches;
  core::LlamaWorkspace workspace;
  StepBuffer buffer;
  std::vector<StepSegment> segments;
  std::vector<float> wanted;           // rows whose logits are wanted, {sequences, D}
  std::vector<float> logits;           // {sequences, vocabulary}
  std::vector<std::size_t> logits_of;  // by feed: its row of `logits` + 1, or 0
  std::unique_ptr<core::Group> alone;
  std::unique_ptr<comm::TransportGroup> group;
  ShardReport report;
  bool finished = false;

  const core::LlamaSlice& slice() const { return options.plan.ranks.front().slice; }
  core::Group& ranks() { return group ? static_cast<core::Group&>(*group) : *alone; }

  State(const core::LlamaModel& m, const ShardOptions& o, comm::Transport* t, core::Pool& p)
      : model(m), config(fitted(m.config, o.plan.positions)), options(o), transport(t), pool(p),
        caches(config, o.plan.ranks.front().slice, o.plan.kv_type, o.plan.positions, o.plan.sequences),
        workspace(config, o.plan.ranks.front().slice, o.rows_max),
        buffer({o.plan.sequences, o.plan.positions, o.rows_max, config.width}) {
    const auto sequences = static_cast<std::size_t>(o.plan.sequences);
    segments.reserve(sequences);
    logits_of.reserve(sequences);
    wanted.resize(sequences * static_cast<std::size_t>(config.width));
    logits.resize(sequences * static_cast<std::size_t>(config.vocabulary));
  }

  void distribute();
  void begin(std::span<const Feed> feeds);
  void blocks_of_step();
  void head(std::span<const Feed> feeds);
  std::span<float> rows_of(std::size_t feed);
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
    job.config = config;
    job.slice = plan.ranks[static_cast<std::size_t>(rank)].slice;
    job.sum = plan.sum;
    job.kv_type = plan.kv_type;
    job.positions = plan.positions;
    job.sequences = plan.sequences;
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

/// Checks the feeds, lays them out as segments and looks their tokens up.
void ShardedLlama::State::begin(std::span<const Feed> feeds) {
  const Plan& plan = options.plan;
  segments.clear();
  std::int64_t rows = 0;
  for (const Feed& feed : feeds) {
    const auto count = static_cast<std::int64_t>(feed.tokens.size());
    core::ensure(feed.slot >= 0 && feed.slot < plan.sequences && feed.source >= 0 && feed.source < plan.sequences, "a slot that is not there");
    check(count > 0 && feed.position >= 0 && count <= plan.positions - feed.position, Kind::usage,
          "{} tokens at position {} do not fit a cache of {} positions", count, feed.position, plan.positions);
    segments.push_back({static_cast<std::uint32_t>(feed.slot), static_cast<std::uint32_t>(feed.source),
                        static_cast<std::uint32_t>(feed.position), static_cast<std::uint32_t>(count)});
    rows += count;
  }
  core::ensure(rows > 0 && rows <= options.rows_max, "more tokens than a step holds");
  buffer.set(segments);
  for (std::size_t i = 0; i < feeds.size(); ++i) core::embed(ends, config, feeds[i].tokens, rows_of(i));
}

void ShardedLlama::State::blocks_of_step() {
  if (transport)
    for (core::Rank rank = 1; rank < transport->size(); ++rank)
      transport->send(rank, comm::Kind::step, buffer.bytes(), comm::kNoDeadline);
  const core::LlamaShard shard{config, slice(), blocks, options.plan.sum};
  const auto begin = comm::Clock::now();
  core::forward_blocks(shard, buffer.hidden(), caches.prepare(buffer.segments()), workspace, ranks(), pool);
  report.compute_ms += 1e3 * core::seconds_since(begin);
}

/// One product for all rows whose logits are wanted.
void ShardedLlama::State::head(std::span<const Feed> feeds) {
  const auto width = static_cast<std::size_t>(config.width), vocabulary = static_cast<std::size_t>(config.vocabulary);
  std::size_t count = 0;
  logits_of.assign(feeds.size(), 0);
  for (std::size_t i = 0; i < feeds.size(); ++i) {
    if (!feeds[i].logits) continue;
    const std::span<const float> last = rows_of(i).last(width);
    std::copy(last.begin(), last.end(), wanted.begin() + static_cast<std::ptrdiff_t>(count * width));
    logits_of[i] = ++count;
  }
  if (count > 0)
    core::logits(ends, config, std::span(wanted).first(count * width), std::span(logits).first(count * vocabulary), pool);
}

std::span<float> ShardedLlama::State::rows_of(std::size_t feed) {
  const auto width = static_cast<std::size_t>(config.width);
  std::size_t first = 0;
  for (std::size_t i = 0; i < feed; ++i) first += segments[i].rows;
  return buffer.hidden().subspan(first * width, segments[feed].rows * width);
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
  for (const core::LlamaBlock& block : model.blocks) {
    state_->blocks.push_back(core::cut(block, state_->config, state_->slice()));
    core::pack(state_->blocks.back(), pool);
  }
  state_->ends = model.ends;
  core::pack(state_->ends, pool);
  if (transport) {
    state_->group = std::make_unique<comm::TransportGroup>(*transport, options.allreduce, options.plan.sum,
                                                           model.config.width, options.rows_max);
  } else {
    state_->alone = std::make_unique<core::Alone>();
  }
  state_->report.weight_bytes = options.plan.ranks.front().weight_bytes;
  state_->report.kv_bytes = state_->caches.bytes();
  state_->report.load_ms = 1e3 * core::seconds_since(start);
}

ShardedLlama::~ShardedLlama() = default;

void ShardedLlama::step(std::span<const Feed> feeds) {
  state_->begin(feeds);
  state_->blocks_of_step();
  state_->head(feeds);
}

std::span<const float> ShardedLlama::logits(std::size_t feed) const {
  const State& s = *state_;
  core::ensure(feed < s.logits_of.size() && s.logits_of[feed] > 0, "logits that were not asked for");
  const auto vocabulary = static_cast<std::size_t>(s.config.vocabulary);
  return std::span(s.logits).subspan((s.logits_of[feed] - 1) * vocabulary, vocabulary);
}

void ShardedLlama::normed(std::size_t feed, std::span<float> normed) {
  State& s = *state_;
  core::ensure(feed < s.segments.size(), "no such feed in the last step");
  core::final_norm(s.ends, s.config, s.rows_of(feed), normed, s.pool);
}

void ShardedLlama::all_logits(std::size_t feed, std::span<float> logits) {
  State& s = *state_;
  core::ensure(feed < s.segments.size(), "no such feed in the last step");
  const auto rows = s.rows_of(feed);
  std::vector<float> hidden(rows.begin(), rows.end());
  core::logits(s.ends, s.config, hidden, logits, s.pool);
}

std::span<const float> ShardedLlama::forward(std::span<const core::TokenId> tokens, std::int64_t position) {
  const State& s = *state_;
  const auto count = static_cast<std::int64_t>(tokens.size());
  check(count > 0 && position >= 0 && position + count <= s.options.plan.positions, Kind::usage,
        "{} tokens at position {} do not fit a cache of {} positions", count, position, s.options.plan.positions);
  for (std::int64_t done = 0, rows = 0; done < count; done += rows) {
    rows = std::min(s.options.rows_max, count - done);
    const Feed feed{.slot = 0, .source = 0, .position = position + done,
                    .tokens = tokens.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(rows)),
                    .logits = done + rows == count};
    step({&feed, 1});
  }
  return logits(0);
}

const core::LlamaConfig& ShardedLlama::config() const { return state_->config; }

std::int64_t ShardedLlama::rows_max() const { return state_->options.rows_max; }

std::int64_t ShardedLlama::positions() const { return state_->options.plan.positions; }

const Plan& ShardedLlama::plan() const { return state_->options.plan; }

const comm::TransportGroup* ShardedLlama::group() const { return state_->group.get(); }

void ShardedLlama::check_ranks() {
  comm::Transport* transport = state_->transport;
  if (!transport || transport->size() == 1) return;
  std::vector<core::Rank> others;
  for (core::Rank rank = 1; rank < transport->size(); ++rank) others.push_back(rank);
  try {
    const core::Rank rank = transport->wait_any(others, comm::Clock::now());
    const comm::Incoming incoming = transport->next(rank, comm::Clock::now());
    core::fail(Kind::malformed, "{}: sent a {} frame that nobody asked for", transport->name(rank), comm::to_string(incoming.kind));
  } catch (const core::Error& error) {
    if (error.kind() != Kind::timeout) throw;
  }
}

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
