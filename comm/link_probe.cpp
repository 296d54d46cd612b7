// Latency, rate and CPU cost of links (see link_probe.h).
#include "comm/link_probe.h"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <map>
#include <string>

#include "comm/collectives/reduction.h"
#include "core/clock.h"

namespace starling::comm {
namespace {

using Task = ProbeCommand::Task;
constexpr auto kProbe = Kind::probe;
constexpr std::size_t kBuffer = 16;  // of the scratch, apart from those of the algorithms

double thread_cpu_s() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double median(std::span<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Pushed {
  double elapsed_s = 0, send_cpu_s = 0;
};

/// `count` frames of `bytes` to one worker, until it says that it has them.
Pushed push(Transport& transport, Scratch& scratch, Rank to, std::uint64_t count, std::uint64_t bytes, Deadline deadline) {
  const std::span<std::byte> data = scratch.get(kBuffer, bytes);
  std::fill(data.begin(), data.end(), std::byte{0x55});
  const auto begin = Clock::now();
  send_command(transport, to, {Task::sink, count, bytes, 0}, deadline);
  const double cpu = thread_cpu_s();
  for (std::uint64_t i = 0; i < count; ++i) transport.send(to, kProbe, data, deadline);
  Pushed result;
  result.send_cpu_s = thread_cpu_s() - cpu;
  receive(transport, to, kProbe, {}, deadline);
  result.elapsed_s = core::seconds_since(begin);
  return result;
}

double round_trip_s(Transport& transport, Rank to, Deadline deadline) {
  constexpr std::uint64_t kWarmup = 3;
  std::array<double, 12> times;
  std::array<std::byte, 8> frame{};
  send_command(transport, to, {Task::echo, kWarmup + times.size(), frame.size(), 0}, deadline);
  for (std::size_t i = 0; i < kWarmup + times.size(); ++i) {
    const auto begin = Clock::now();
    transport.send(to, kProbe, frame, deadline);
    receive(transport, to, kProbe, frame, deadline);
    if (i >= kWarmup) times[i - kWarmup] = core::seconds_since(begin);
  }
  return median(times);
}

/// Grows the pushed frame until its time stands out from the round trip, or is long enough in itself.
double rate_bytes_per_s(Transport& transport, Scratch& scratch, Rank to, double round_trip, Deadline deadline) {
  constexpr double kLong_s = 0.02;
  for (std::uint64_t bytes = std::uint64_t{1} << 16;; bytes *= 4) {
    const double best = std::min(push(transport, scratch, to, 1, bytes, deadline).elapsed_s,
                                 push(transport, scratch, to, 1, bytes, deadline).elapsed_s);
    const double transfer = std::max(best - round_trip, 1e-9);
    if (bytes * 4 > kProbeBytesMax || transfer > kLong_s || transfer > 8 * round_trip)
      return static_cast<double>(bytes) / transfer;
  }
}

double sum_bytes_per_s(Scratch& scratch) {
  constexpr std::size_t kElements = 1 << 15;
  const std::span<std::byte> memory = scratch.get(kBuffer, 2 * kElements * sizeof(double));
  const std::span<double> values(reinterpret_cast<double*>(memory.data()), 2 * kElements);
  std::fill(values.begin(), values.end(), 1.0);
  std::array<double, 5> times;
  for (double& t : times) {
    const auto begin = Clock::now();
    add(values.first(kElements), values.subspan(kElements));
    t = core::seconds_since(begin);
  }
  return kElements * sizeof(double) / std::max(median(times), 1e-9);
}

struct Resident {
  std::uint64_t machine = 0;
  std::array<std::uint64_t, sizeof(cpu_set_t) / 8> cores{};
};

/// Containers of one machine share its cores, and its boot identity.
Resident where_am_i() {
  Resident self;
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  self.machine = checksum(std::as_bytes(std::span(boot.data(), boot.size())));
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) std::memcpy(self.cores.data(), &set, sizeof(set));
  return self;
}

double crowding(std::span<const Resident> residents) {
  struct House {
    Resident all;
    int ranks = 0;
  };
  std::map<std::uint64_t, House> houses;
  for (const Resident& r : residents) {
    House& house = houses[r.machine];
    ++house.ranks;
    for (std::size_t i = 0; i < r.cores.size(); ++i) house.all.cores[i] |= r.cores[i];
  }
  double worst = 0;
  for (const auto& [machine, house] : houses) {
    int cores = 0;
    for (const std::uint64_t word : house.all.cores) cores += std::popcount(word);
    worst = std::max(worst, static_cast<double>(house.ranks) / std::max(cores, 1));
  }
  return worst;
}

/// One byte per rank: could this rank send to it? Workers try each other; rank 0 has links to all.
std::vector<std::byte> try_links(Transport& transport, Deadline deadline) {
  std::vector<std::byte> reached(static_cast<std::size_t>(transport.size()), std::byte{1});
  if (transport.rank() == 0) return reached;
  for (Rank rank = 1; rank < transport.size(); ++rank) {
    if (rank == transport.rank()) continue;
    try {
      transport.send(rank, kProbe, {}, deadline);
    } catch (const core::Error& error) {
      if (error.kind() != core::Kind::unreachable) throw;
      reached[static_cast<std::size_t>(rank)] = std::byte{0};
    }
  }
  return reached;
}

template <class T>
std::vector<T> gather_all(Transport& transport, std::span<const T> mine, Deadline deadline) {
  std::vector<T> all(transport.rank() == 0 ? mine.size() * static_cast<std::size_t>(transport.size()) : 0);
  gather(transport, 0, std::as_bytes(mine), std::as_writable_bytes(std::span(all)), deadline);
  return all;
}

}  // namespace

void send_command(Transport& transport, Rank to, const ProbeCommand& command, Deadline deadline) {
  const std::array<std::uint64_t, 4> words{static_cast<std::uint64_t>(command.task), command.a, command.b, command.c};
  transport.send(to, kProbe, std::as_bytes(std::span(words)), deadline);
}

ProbeCommand receive_command(Transport& transport, Deadline deadline) {
  std::array<std::uint64_t, 4> words{};
  receive(transport, 0, kProbe, std::as_writable_bytes(std::span(words)), deadline);
  const ProbeCommand command{static_cast<Task>(words[0]), words[1], words[2], words[3]};
  const bool link = command.task == Task::echo || command.task == Task::sink;
  core::check(words[0] >= 1 && words[0] <= 4, core::Kind::malformed, "{}: probe command {} is none of 1..4", transport.name(0),
              words[0]);
  core::check(!link || (command.a <= kProbeFramesMax && command.b <= kProbeBytesMax), core::Kind::malformed,
              "{}: a probe of {} frames of {} bytes is above the limits of {} and {}", transport.name(0), command.a,
              command.b, kProbeFramesMax, kProbeBytesMax);
  return command;
}

void serve_link(Transport& transport, Scratch& scratch, const ProbeCommand& command, Deadline deadline) {
  const std::span<std::byte> frame = scratch.get(kBuffer, command.b);
  for (std::uint64_t i = 0; i < command.a; ++i) {
    receive(transport, 0, kProbe, frame, deadline);
    if (command.task == Task::echo) transport.send(0, kProbe, frame, deadline);
  }
  if (command.task == Task::sink) transport.send(0, kProbe, {}, deadline);
}

LinkCost measure_links(Transport& transport, Scratch& scratch, Deadline deadline) {
  constexpr std::uint64_t kFrames = 64, kSmall = 8, kLarge = 16 << 10;
  LinkCost worst{.latency_s = 0, .bytes_per_s = 1e15, .message_cpu_s = 0, .copy_bytes_per_s = 1e15};
  for (Rank rank = 1; rank < transport.size(); ++rank) {
    const double round_trip = round_trip_s(transport, rank, deadline);
    // Taking in a frame costs about what sending it costs, and only the sender does nothing else meanwhile.
    const double message = 2 * push(transport, scratch, rank, kFrames, kSmall, deadline).send_cpu_s / kFrames;
    const double large = 2 * push(transport, scratch, rank, kFrames / 8, kLarge, deadline).send_cpu_s / (kFrames / 8);
    const double copy = kLarge / std::max(large - message, 1e-9);
    worst.message_cpu_s = std::max(worst.message_cpu_s, message);
    worst.copy_bytes_per_s = std::min(worst.copy_bytes_per_s, copy);
    worst.latency_s = std::max(worst.latency_s, std::max(round_trip / 2 - message, 0.0));
    worst.bytes_per_s = std::min(worst.bytes_per_s, rate_bytes_per_s(transport, scratch, rank, round_trip, deadline));
  }
  worst.sum_bytes_per_s = sum_bytes_per_s(scratch);
  return worst;
}

Census take_census(Transport& transport, Deadline deadline) {
  const auto n = static_cast<std::size_t>(transport.size());
  const Resident self = where_am_i();
  const std::vector<Resident> residents = gather_all<Resident>(transport, std::span(&self, 1), deadline);
  const std::vector<std::byte> reached = try_links(transport, deadline);
  std::vector<std::byte> links = gather_all<std::byte>(transport, reached, deadline);
  links.resize(n * n);
  double crowd = transport.rank() == 0 ? crowding(residents) : 0;

  // Everyone learns the whole table, since it says which frames of the attempt are still to be taken in.
  const auto tell = [&](std::span<std::byte> data) {
    if (transport.rank() != 0) return receive(transport, 0, kProbe, data, deadline);
    for (Rank rank = 1; rank < transport.size(); ++rank) transport.send(rank, kProbe, data, deadline);
  };
  tell(links);
  tell(std::as_writable_bytes(std::span(&crowd, 1)));

  Census census;
  census.ranks_per_core = crowd;
  for (std::size_t from = 1; from < n; ++from) {
    for (std::size_t to = 1; to < n; ++to) {
      if (links[from * n + to] == std::byte{0}) {
        census.all_linked = false;
        census.from = static_cast<Rank>(from);
        census.to = static_cast<Rank>(to);
      } else if (from != to && static_cast<Rank>(to) == transport.rank()) {
        receive(transport, static_cast<Rank>(from), kProbe, {}, deadline);
      }
    }
  }
  return census;
}

}  // namespace starling::comm
