// The worker's half of tensor parallelism: holds a slice, follows the master's steps.
#include <sys/resource.h>

#include <chrono>

#include "core/clock.h"
#include "partition/shard.h"
#include "partition/shard_step.h"
#include "partition/shard_transfer.h"
#include "partition/step_caches.h"

namespace starling::partition {

using core::check;
using core::Kind;

void serve_shard(comm::Transport& transport, core::Bytes settings, const NodeBudget& budget) {
  const auto start = comm::Clock::now();
  const ShardJob job = decode_shard_job(settings, transport.name(0));
  const std::uint64_t kv_bytes = cache_bytes(job.config, job.slice, job.kv_type, job.positions, job.sequences);
  check(budget.memory_bytes == 0 || (job.weight_bytes <= budget.memory_bytes && kv_bytes <= budget.memory_bytes - job.weight_bytes),
        Kind::refused, "its slice needs {} bytes and its cache {}, this node's budget is {}", job.weight_bytes, kv_bytes,
        budget.memory_bytes);
  const std::vector<core::LlamaBlock> blocks = receive_slice(transport, job, budget.memory_bytes);

  core::Pool pool(budget.threads);
  StepCaches caches(job.config, job.slice, job.kv_type, job.positions, job.sequences);
  core::LlamaWorkspace workspace(job.config, job.slice, job.rows_max);
  StepBuffer buffer({job.sequences, job.positions, job.rows_max, job.config.width});
  ShardReport report;
  for (const core::LlamaBlock& block : blocks)
    core::each_part(job.config, [&](const core::BlockPart& part, std::int64_t copy) { report.weight_bytes += core::member(block, part, copy).bytes().size(); });
  report.kv_bytes = caches.bytes();
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
    transport.read(0, buffer.receive(incoming.length, transport.name(0)), comm::kNoDeadline);
    buffer.decode(transport.name(0));
    const auto begin = comm::Clock::now();
    core::forward_blocks(shard, buffer.hidden(), caches.prepare(buffer.segments()), workspace, group, pool);
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
