// `starling bench collectives`: our all-reduce against Open MPI's, and our algorithms against each other.
#include <algorithm>
#include <functional>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "comm/frame.h"
#include "core/error.h"
#include "tools/bench/collectives.h"
#include "tools/command.h"

namespace starling::tools::bench {
namespace {

using core::Kind;

/// "8k", "32768", "4m".
std::uint64_t parse_bytes(const std::string& text) {
  std::size_t used = 0;
  std::uint64_t value = 0;
  try {
    value = std::stoull(text, &used);
  } catch (const std::exception&) {
    core::fail(Kind::usage, "--sizes: '{}' is no size such as 4, 8k or 4m", text);
  }
  const std::string unit = text.substr(used);
  if (unit == "k") value <<= 10;
  if (unit == "m") value <<= 20;
  core::check(unit.empty() || unit == "k" || unit == "m", Kind::usage, "--sizes: '{}' is no size such as 4, 8k or 4m", text);
  core::check(value >= 4 && value % 4 == 0 && value <= (std::uint64_t{1} << 28), Kind::usage,
              "--sizes: {} bytes: expected whole F32 values, 4 bytes to 256m", value);
  return value;
}

std::string two_digits(double ratio) { return fmt::format("{:.2f}", ratio); }

void print_mpi_table(const nlohmann::json& rows) {
  print(fmt::format("{:>5} {:>8} {:<9} {:>9} {:>9} {:>9} {:>9} {:>6} {:<7} | {:<9} {:>9} {:>9} {:>6}\n", "ranks", "bytes",
                    "fast by", "us", "p99", "MPI us", "MPI p99", "ratio", "", "exact by", "us", "p99", "ratio"));
  for (const auto& row : rows) {
    const double ratio = row["ratio"].get<double>();
    print(fmt::format("{:>5} {:>8} {:<9} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>6} {:<7} | {:<9} {:>9.1f} {:>9.1f} {:>6}\n",
                      row["ranks"].get<int>(), row["bytes"].get<std::uint64_t>(), row["fast"]["algorithm"].get<std::string>(),
                      row["fast"]["median_us"].get<double>(), row["fast"]["p99_us"].get<double>(),
                      row["mpi"]["median_us"].get<double>(), row["mpi"]["p99_us"].get<double>(), two_digits(ratio),
                      ratio <= 1.0 ? "ok" : "MISSED", row["exact"]["algorithm"].get<std::string>(),
                      row["exact"]["median_us"].get<double>(), row["exact"]["p99_us"].get<double>(),
                      two_digits(row["exact"]["ratio"].get<double>())));
  }
  print("target: ratio of medians <= 1.00 (fast sum, the algorithm that auto picks)\n");
}

void print_algorithm_table(const nlohmann::json& result) {
  for (const auto& row : result["rows"]) {
    std::string line = fmt::format("{:>2} ranks {:>8} B:", row["ranks"].get<int>(), row["bytes"].get<std::uint64_t>());
    for (const auto& a : row["algorithms"])
      line += fmt::format(" {} {:.0f}", a["name"].get<std::string>(), a["median_us"].get<double>());
    line += fmt::format(" us; auto {}: {:.2f} x best {}\n", row["chosen"].get<std::string>(), row["chosen_over_best"].get<double>(),
                        row["chosen_over_best"].get<double>() <= 1.10 ? "ok" : "MISSED");
    print(line);
    for (const auto& t : row["targets"])
      print(fmt::format("   {} {}: {:.3g} ({} {:.3g}) {}\n", t["row"].get<std::string>(), t["what"].get<std::string>(),
                        t["value"].get<double>(), t["at_most"].get<bool>() ? "at most" : "at least", t["target"].get<double>(),
                        t["met"].get<bool>() ? "ok" : "MISSED"));
  }
  for (const auto& c : result["crossings"])
    print(fmt::format("{:>2} ranks: star and {} cross at {:.0f} B, predicted {} {}\n", c["ranks"].get<int>(),
                      c["star_and"].get<std::string>(), c["measured_bytes"].get<double>(),
                      c.contains("predicted_bytes") ? fmt::format("{:.0f} B", c["predicted_bytes"].get<double>()) : "nowhere",
                      c["within_2x"].get<bool>() ? "ok" : "(not within 2x)"));
}

int run_collectives(CollectivesOptions& options) {
  if (!options.results.empty()) return run_mpi_rank(options);
  if (options.worker) return run_link_rank(options);
  nlohmann::json result;
  if (options.against_mpi) {
    if (options.ranks.empty()) options.ranks = {2, 4};
    if (options.sizes.empty()) options.sizes = {8 << 10, 32 << 10};
    result["rows"] = compare_with_mpi(options);
    if (!options.json) print_mpi_table(result["rows"]);
  } else {
    if (options.ranks.empty()) options.ranks = {2, 4, 8};
    if (options.sizes.empty()) options.sizes = {4 << 10, 32 << 10, 256 << 10, 4 << 20};
    std::sort(options.sizes.begin(), options.sizes.end());
    result = compare_algorithms(options);
    if (!options.json) print_algorithm_table(result);
  }
  result["against"] = options.against_mpi ? "mpi" : "algorithms";
  result["link"] = options.link;
  if (options.json) print_json(result);
  return 0;
}

}  // namespace

Times summarise(std::vector<float> us) {
  core::ensure(!us.empty(), "a block of no calls has no times");
  std::sort(us.begin(), us.end());
  return {us[us.size() / 2], us[us.size() * 99 / 100]};
}

nlohmann::json to_json(const comm::Choice& choice) {
  nlohmann::json candidates = nlohmann::json::array();
  for (const comm::Candidate& c : choice.candidates)
    candidates.push_back({{"name", c.name}, {"predicted_us", c.predicted_us}, {"tried_us", c.measured_us}});
  return {{"algorithm", choice.algorithm}, {"candidates", candidates}};
}

std::function<int()> collectives(CLI::App& app) {
  auto options = std::make_shared<CollectivesOptions>();
  auto sizes = std::make_shared<std::vector<std::string>>();
  auto algorithms = std::make_shared<bool>(false);
  auto sum = std::make_shared<std::string>("fast");
  add_json_flag(app, options->json);
  app.add_option("--ranks", options->ranks, "numbers of ranks (default 2,4; with --algorithms 2,4,8)")
      ->delimiter(',')
      ->check(CLI::Range(2, 64));
  app.add_option("--sizes", *sizes, "bytes of F32 (default 8k,32k; with --algorithms 4k,32k,256k,4m)")->delimiter(',');
  app.add_option("--calls", options->calls, "calls of a block")->check(CLI::Range(10, 1000000))->capture_default_str();
  app.add_option("--blocks", options->blocks, "alternating blocks of each side")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_flag("--algorithms", *algorithms, "our algorithms against each other instead of Open MPI");
  app.add_option("--link", options->link, "shape every rank's link (\"delay=5ms,rate=300mbit\"); implies --algorithms");
  app.add_option("--sum", *sum, "of --algorithms: fast or exact")->check(CLI::IsMember({"fast", "exact"}))->capture_default_str();
  app.add_option("--repetitions", options->repetitions, "calls of each algorithm with --algorithms")
      ->check(CLI::Range(5, 100000))
      ->capture_default_str();
  app.add_option("--seconds", options->seconds_max, "about the longest one algorithm runs at one size with --algorithms")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_flag("--worker", options->worker)->group("");
  app.add_option("--lifeline", options->lifeline)->group("");
  app.add_option("--announce", options->announce)->group("");
  app.add_option("--results", options->results)->group("");
  return [options, sizes, algorithms, sum] {
    for (const std::string& text : *sizes) options->sizes.push_back(parse_bytes(text));
    options->against_mpi = !*algorithms && options->link.empty();
    options->sum = *sum == "exact" ? core::Sum::exact : core::Sum::fast;
    return run_collectives(*options);
  };
}

}  // namespace starling::tools::bench
