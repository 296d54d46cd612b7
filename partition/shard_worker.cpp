// The worker's half of tensor parallelism: holds a slice, follows the master's steps.
#include <sys/resource.h>

#include <chrono>

#include "core/clock.h"
#include "partition/shard.h"
#include "partition/shard_step.h"
#include "partition/shard_transfer.h"

namespace starling::partition {

using core::check;
using core::Kind;

namespace {

Step receive_step(comm::Transport& transport, const ShardJob& job, const comm::Incoming& incoming,
                  StepBuffer& buffer) {
  const std::string_view field = "step";
  check(incoming.length >= kStepHeaderBytes && incoming.length <= buffer.capacity(), Kind::malformed,
        "{}: {} of {} bytes: expected {} to {}", transport.name(0), field, incoming.length, kStepHeaderBytes,
        buffer.capacity());
  transport.read(0, buffer.bytes(incoming.length), comm::kNoDeadline);
  const Step step = buffer.step();
  const auto positions = static_cast<std::uint64_t>(job.positions);
  check(step.rows > 0 && step.rows <= job.rows_max && buffer.size(step.rows) == incoming.length, Kind::malformed,
        "{}: step of {} rows in {} bytes: expected 1 to {} rows of {} floats", transport.name(0), step.rows,
        incoming.length, job.rows_max, job.config.width);
  check(step.position <= positions && step.rows <= positions - step.position, Kind::malformed,
        "{}: step at position {} with {} rows: the cache holds {}", transport.name(0), step.position, step.rows,
        positions);
  return step;
}

}  // namespace

void serve_shard(comm::Transport& transport, core::Bytes settings, const NodeBudget& budget) {
  const auto start = comm::Clock::now();
  const ShardJob job = decode_shard_job(settings, transport.name(0));
  check(budget.memory_bytes == 0 || job.weight_bytes <= budget.memory_bytes, Kind::refused,
        "its slice needs {} bytes, this node's budget is {}", job.weight_bytes, budget.memory_bytes);
  const std::vector<core::LlamaBlock> blocks = receive_slice(transport, job, budget.memory_bytes);

  core::Pool pool(budget.threads);
  core::KvCache cache(job.config, job.slice, job.kv_type, job.positions);
  core::LlamaWorkspace workspace(job.config, job.slice, job.rows_max);
  StepBuffer buffer(job.rows_max, job.config.width);
  ShardReport report;
  for (const core::LlamaBlock& block : blocks)
    for (std::uint16_t r = 0; r < kRoles; ++r) report.weight_bytes += member(block, static_cast<Role>(r)).bytes().size();
  report.kv_bytes = cache.bytes();
  report.load_ms = 1e3 * core::seconds_since(start);
  transport.send(0, comm::Kind::ready, encode(Ready{report.weight_bytes, report.kv_bytes, report.load_ms}),
                 comm::kNoDeadline);

  comm::TransportGroup group(transport, job.allreduce, job.sum, job.config.width, job.rows_max);
  const core::LlamaShard shard{job.config, job.slice, blocks, job.sum};
  while (true) {
    const comm::Incoming incoming = transport.next(0, comm::kNoDeadline);
    if (incoming.kind == comm::Kind::finish) {
      transport.read(0, {}, comm::kNoDeadline);
      break;
    }
    check(incoming.kind == comm::Kind::step, Kind::malformed, "{}: sent a {} frame where a step was expected",
          transport.name(0), comm::to_string(incoming.kind));
    const Step step = receive_step(transport, job, incoming, buffer);
    const auto begin = comm::Clock::now();
    core::forward_blocks(shard, buffer.hidden(step.rows), step.rows, static_cast<std::int64_t>(step.position), cache,
                         workspace, group, pool);
    report.compute_ms += 1e3 * core::seconds_since(begin);
  }
  report.wait_ms = group.wait_ms();
  report.compute_ms -= report.wait_ms;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  report.peak_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  for (core::Rank peer = 0; peer < transport.size(); ++peer) {
    if (peer == transport.rank()) continue;
    const comm::Counters counters = transport.counters(peer);
    report.bytes_sent += counters.bytes_sent;
    report.bytes_received += counters.bytes_received;
  }
  transport.send(0, comm::Kind::report, encode(report), comm::kNoDeadline);
}

}  // namespace starling::partition
