#include "partition/probe.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "comm/job.h"
#include "core/ops/matmul.h"

namespace starling::partition {

double measure_speed(int threads) {
  using Seconds = std::chrono::duration<double>;
  constexpr std::int64_t kRows = 4096;  // 16 MiB of weights: beyond the caches of small devices
  constexpr std::int64_t kColumns = 1024;
  core::Pool pool(threads);
  const core::Tensor weights = core::Tensor::owned(core::Type::f32, {kRows, kColumns});
  const std::vector<float> x(kColumns, 1.0f);
  std::vector<float> y(kRows);
  const auto start = comm::Clock::now();
  double best_s = INFINITY;
  do {
    const auto begin = comm::Clock::now();
    core::matmul(weights, x, 1, y, pool);
    best_s = std::min(best_s, Seconds(comm::Clock::now() - begin).count());
  } while (comm::Clock::now() - start < std::chrono::milliseconds(100));
  return static_cast<double>(weights.bytes().size()) / best_s;
}

void serve_probe(comm::Transport& transport, const NodeBudget& budget) {
  const double speed = measure_speed(budget.threads);
  transport.send(0, comm::Kind::report, std::as_bytes(std::span(&speed, 1)), comm::kNoDeadline);
}

std::vector<double> probe_speeds(comm::Transport& transport, int threads) {
  std::vector<double> speeds{measure_speed(threads)};
  for (core::Rank rank = 1; rank < transport.size(); ++rank) {
    transport.send(rank, comm::Kind::job, comm::encode_job({std::string(kProbeService), {}}), comm::kNoDeadline);
    double speed = 0;
    comm::receive(transport, rank, comm::Kind::report, std::as_writable_bytes(std::span(&speed, 1)),
                  comm::kNoDeadline);
    core::check(std::isfinite(speed) && speed > 0, core::Kind::malformed, "{}: speed: {}", transport.name(rank),
                speed);
    speeds.push_back(speed);
  }
  return speeds;
}

}  // namespace starling::partition
