// Our algorithms against each other and against what `auto` picks: ranks are processes of this machine, joined by
// TCP over the loopback interface, or over a relay that shapes every rank's access link.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

#include "comm/connect.h"
#include "comm/heartbeat.h"
#include "core/error.h"
#include "sim/link.h"
#include "tools/bench/collectives.h"
#include "tools/process.h"
#include "tools/relay.h"

namespace starling::tools::bench {
namespace {

using comm::Collective;
constexpr int kTurns = 5;  // of every algorithm, so that a disturbance hits all alike
constexpr auto kLinkCallLimit = std::chrono::seconds(120);

/// What all ranks do together; rank 0 also writes down what came out.
class LinkBench {
 public:
  LinkBench(comm::Transport& transport, const CollectivesOptions& options) : transport_(transport), options_(options) {}

  nlohmann::json measure(std::uint64_t bytes) {
    const std::size_t elements = bytes / sizeof(float);
    parts_.assign(elements, 0);
    values_.assign(elements, 0);
    const std::array sizes{elements};
    selection_ = comm::choose(transport_, scratch_, options_.sum, sizes);
    const std::span<const Collective> table = comm::collectives();
    std::vector<int> calls;
    for (const Collective& c : table) calls.push_back(calls_that_fit(c));
    std::vector<std::vector<float>> slowest(table.size());
    for (int turn = 0; turn < kTurns; ++turn) {
      for (std::size_t i = 0; i < table.size(); ++i) {
        comm::barrier(transport_, comm::after(kLinkCallLimit));
        call(table[i]);
        const std::vector<float> us = slowest_of(run(table[i], std::max(2, calls[i] / kTurns)));
        slowest[i].insert(slowest[i].end(), us.begin(), us.end());
      }
    }
    return transport_.rank() == 0 ? describe(bytes, std::move(slowest)) : nlohmann::json();
  }

  const comm::LinkCost& link() const { return selection_.link; }

 private:
  void call(const Collective& c) {
    if (options_.sum == core::Sum::exact)
      c.sum_exact(transport_, scratch_, parts_, values_, comm::after(kLinkCallLimit));
    else
      c.sum_fast(transport_, scratch_, values_, comm::after(kLinkCallLimit));
  }

  /// Microseconds of one call, for every group of calls that are timed together.
  std::vector<float> run(const Collective& c, int calls) {
    std::vector<float> us;
    while (calls > 0) {
      const int group = std::min(calls, comm::kTimedTogether);
      const auto begin = comm::Clock::now();
      for (int i = 0; i < group; ++i) call(c);
      us.push_back(std::chrono::duration<float, std::micro>(comm::Clock::now() - begin).count() / static_cast<float>(group));
      calls -= group;
    }
    return us;
  }

  /// So many that one algorithm takes about seconds_max; the same on all ranks.
  int calls_that_fit(const Collective& c) {
    call(c);
    float us = run(c, 2).front();
    comm::broadcast(transport_, 0, std::as_writable_bytes(std::span(&us, 1)), comm::after(kLinkCallLimit));
    return static_cast<int>(std::clamp(options_.seconds_max * 1e6 / us, 5.0, static_cast<double>(options_.repetitions)));
  }

  /// On rank 0 the greatest of each time over all ranks.
  std::vector<float> slowest_of(std::vector<float> us) {
    const auto size = static_cast<std::size_t>(transport_.size());
    std::vector<float> all(transport_.rank() == 0 ? us.size() * size : 0);
    comm::gather(transport_, 0, std::as_bytes(std::span(us)), std::as_writable_bytes(std::span(all)), comm::after(kLinkCallLimit));
    for (std::size_t i = 0; i < all.size(); ++i) us[i % us.size()] = std::max(us[i % us.size()], all[i]);
    return us;
  }

  nlohmann::json describe(std::uint64_t bytes, std::vector<std::vector<float>> slowest) const {
    const comm::Choice& choice = selection_.choices.front();
    nlohmann::json row{{"ranks", transport_.size()}, {"bytes", bytes}, {"chosen", choice.algorithm}, {"choice", to_json(choice)}};
    double best = HUGE_VAL, chosen = 0;
    for (std::size_t i = 0; i < slowest.size(); ++i) {
      const std::string name(comm::collectives()[i].name);
      const std::size_t times_taken = slowest[i].size();
      const Times times = summarise(std::move(slowest[i]));
      row["algorithms"].push_back({{"name", name}, {"median_us", times.median_us}, {"p99_us", times.p99_us},
                                   {"predicted_us", choice.candidates.at(i).predicted_us}, {"times", times_taken}});
      best = std::min(best, times.median_us);
      if (name == choice.algorithm) chosen = times.median_us;
    }
    row["chosen_over_best"] = chosen / best;
    return row;
  }

  comm::Transport& transport_;
  const CollectivesOptions& options_;
  comm::Scratch scratch_;
  comm::Selection selection_;
  std::vector<double> parts_;  // zeros, as their sums are
  std::vector<float> values_;
};

double median_us(const nlohmann::json& row, std::string_view algorithm) {
  for (const auto& a : row["algorithms"])
    if (a["name"].get<std::string>() == algorithm) return a["median_us"].get<double>();
  core::fail(core::Kind::internal, "no times of {}", algorithm);
}

/// The acceptance rows for eight ranks, 5 ms and 300 Mbit/s.
nlohmann::json targets(const nlohmann::json& row, const sim::LinkSpec& link) {
  nlohmann::json found = nlohmann::json::array();
  if (row["ranks"].get<int>() != 8 || link != sim::parse_link("delay=5ms,rate=300mbit")) return found;
  const double star = median_us(row, "star"), ring = median_us(row, "ring"), tau_us = 5000;
  const auto add = [&](const char* name, const char* what, double value, bool at_most, double target) {
    found.push_back({{"row", name}, {"what", what}, {"value", value}, {"at_most", at_most}, {"target", target},
                     {"met", at_most ? value <= target : value >= target}});
  };
  switch (row["bytes"].get<std::uint64_t>()) {
    case 4:
      add("A6", "ring/star", ring / star, false, 6.0);
      add("A6", "star/tau", star / tau_us, true, 2.15);
      break;
    case 8 << 10:
      add("A5", "star ms", star / 1000, true, (2 * tau_us + 4500) / 1000);
      add("A5", "ring/star", ring / star, false, 4.5);
      add("A5", "tree/star", median_us(row, "tree") / star, false, 1.8);
      break;
    case 32 << 10:
      add("A5", "ring/star", ring / star, false, 2.8);
      add("A5", "ring/direct", ring / median_us(row, "direct"), false, 5.5);
      break;
    default:
      break;
  }
  return found;
}

/// Bytes at which `other` becomes as fast as the star, as the formulas say.
std::optional<double> predicted_crossing(const Collective& other, const comm::LinkCost& link, int ranks, double low, double high,
                                         core::Sum sum) {
  const auto ahead = [&](double bytes) {
    const comm::Payload payload = comm::Payload::of(static_cast<std::size_t>(bytes / 4), sum);
    return comm::cost(comm::collective("star"), link, ranks, payload) - comm::cost(other, link, ranks, payload);
  };
  const bool at_low = ahead(low) > 0;
  if (at_low == (ahead(high) > 0)) return std::nullopt;
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    ((ahead(middle) > 0) == at_low ? low : high) = middle;
  }
  return low;
}

/// The same from measured rows of rising sizes, between the two that it lies between.
std::optional<double> measured_crossing(const nlohmann::json& rows, const std::string& other) {
  std::optional<double> last;
  double last_bytes = 0;
  for (const auto& row : rows) {
    const double ahead = std::log(median_us(row, "star") / median_us(row, other));
    const double bytes = row["bytes"].get<double>();
    if (last && (*last > 0) != (ahead > 0))
      return last_bytes * std::pow(bytes / last_bytes, *last / (*last - ahead));
    last = ahead;
    last_bytes = bytes;
  }
  return std::nullopt;
}

/// Where the star stops to be the fastest of two. Predictions are looked for a factor of four beyond the sizes
/// measured: a crossing just outside is no disagreement.
nlohmann::json crossings(const nlohmann::json& rows, const comm::LinkCost& link, int ranks, core::Sum sum) {
  nlohmann::json found = nlohmann::json::array();
  const double low = rows.front()["bytes"].get<double>(), high = rows.back()["bytes"].get<double>();
  for (const Collective& other : comm::collectives()) {
    if (other.name == "star") continue;
    const std::optional<double> measured = measured_crossing(rows, std::string(other.name));
    const std::optional<double> predicted = predicted_crossing(other, link, ranks, std::max(4.0, low / 4), high * 4, sum);
    if (!measured) continue;
    nlohmann::json one{{"ranks", ranks}, {"star_and", other.name}, {"measured_bytes", *measured}};
    if (predicted) one["predicted_bytes"] = *predicted;
    one["within_2x"] = predicted && *predicted <= 2 * *measured && *measured <= 2 * *predicted;
    found.push_back(one);
  }
  return found;
}

std::vector<std::string> worker_arguments(const CollectivesOptions& options) {
  std::string sizes;
  for (const std::uint64_t bytes : options.sizes) sizes += fmt::format("{}{}", sizes.empty() ? "" : ",", bytes);
  return {kOwnProgram, "bench", "collectives", "--worker", "--sizes", sizes, "--sum", options.sum == core::Sum::exact ? "exact" : "fast",
          "--repetitions", std::to_string(options.repetitions), "--seconds", fmt::format("{}", options.seconds_max)};
}

}  // namespace

nlohmann::json compare_algorithms(const CollectivesOptions& options) {
  std::optional<sim::LinkSpec> shape;
  if (!options.link.empty()) shape = sim::parse_link(options.link);
  nlohmann::json result{{"rows", nlohmann::json::array()}, {"crossings", nlohmann::json::array()}};
  for (const int ranks : options.ranks) {
    Children children;
    std::vector<std::string> uris;
    for (int rank = 1; rank < ranks; ++rank) children.spawn(worker_arguments(options), fmt::format("rank-{}", rank));
    for (int rank = 1; rank < ranks; ++rank)
      uris.push_back(children.announcement(static_cast<std::size_t>(rank - 1), comm::after(std::chrono::seconds(20))));
    std::optional<Relay> relay;
    comm::ConnectOptions connect;
    connect.self.name = "rank-0";
    connect.deadline = comm::after(std::chrono::seconds(20));
    if (shape) {
      relay.emplace(*shape, uris);
      result["link_checks"].push_back(to_json(relay->check()));
      connect.route = relay->route();
    }
    comm::Connected connected = comm::connect(uris, connect);
    comm::Heartbeat heartbeat(*connected.transport, connect.limits.heartbeat_every);
    LinkBench bench(*connected.transport, options);
    nlohmann::json rows = nlohmann::json::array();
    for (const std::uint64_t bytes : options.sizes) {
      rows.push_back(bench.measure(bytes));
      rows.back()["targets"] = targets(rows.back(), shape.value_or(sim::LinkSpec{}));
    }
    for (const auto& one : crossings(rows, bench.link(), ranks, options.sum)) result["crossings"].push_back(one);
    result["rows"].insert(result["rows"].end(), rows.begin(), rows.end());
  }
  return result;
}

int run_link_rank(const CollectivesOptions& options) {
  const Lifeline lifeline(options.lifeline);
  comm::NodeInfo self;
  self.name = "rank";
  const std::unique_ptr<comm::Listener> listener = comm::listen("tcp://127.0.0.1:0", self, {});
  announce(options.announce, listener->uri());
  const std::unique_ptr<comm::Transport> transport = listener->accept(comm::after(std::chrono::seconds(30)));
  comm::Heartbeat heartbeat(*transport, comm::Limits{}.heartbeat_every);
  LinkBench bench(*transport, options);
  try {
    for (const std::uint64_t bytes : options.sizes) bench.measure(bytes);
  } catch (const core::Error& error) {
    comm::abort_session(*transport, error);
    throw;
  }
  return 0;
}

}  // namespace starling::tools::bench
