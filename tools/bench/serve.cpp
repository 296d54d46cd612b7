// `starling bench serve`: many streams against a server of our own or one that runs, from one pinned thread: errors,
// time to the first token and between tokens, and whether the server's memory grows.
#include <sched.h>

#include <algorithm>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/command.h"
#include "tools/measure.h"
#include "tools/plan_print.h"
#include "tools/process.h"
#include "tools/serve/http_server.h"
#include "tools/serve/load.h"
#include "tools/serve/resident.h"

namespace starling::tools::bench {
namespace {

struct ServeBenchOptions {
  std::string model, nodes = "local:1";
  std::int64_t sequences = 64;
  LoadOptions load;
  bool json = false;
};

/// The calling thread stays on the last core; false when the kernel refuses.
bool pin_to_last_core() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(static_cast<unsigned>(describe_machine().cores - 1), &cores);
  return ::sched_setaffinity(0, sizeof cores, &cores) == 0;
}

/// p99 over p50: how unsteady the times are; 0 when there are none.
double unsteadiness(const std::vector<float>& values) { return values.empty() ? 0 : quantile(values, 0.99) / std::max(quantile(values, 0.5), 1e-9); }

nlohmann::json times(const std::vector<float>& values) {
  return {{"p50_ms", 1e3 * quantile(values, 0.5)}, {"p99_ms", 1e3 * quantile(values, 0.99)}, {"p99_over_p50", unsteadiness(values)},
          {"most_ms", values.empty() ? 0 : 1e3 * values.back()}};
}

int run_serve_bench(ServeBenchOptions options) {
  Children children;
  const std::vector<std::string> arguments{kOwnProgram, "serve", options.model, "--http", "127.0.0.1:0", "--nodes", options.nodes,
                                           "--sequences", std::to_string(options.sequences)};
  children.spawn(arguments, "server");
  const std::string url = children.announcement(0, std::chrono::steady_clock::now() + std::chrono::minutes(10));
  HttpOptions address;
  parse_address(url.substr(url.find("//") + 2), "server", address);
  options.load.port = address.port;
  options.load.prompts = {"Once upon a time", "The little dog", "Tom and Lily went to the park", "One day, a big red ball"};
  const bool pinned = pin_to_last_core();
  LoadOptions warm = options.load;
  warm.requests = std::max<std::int64_t>(warm.streams, warm.requests / 10);
  run_load(warm);
  const std::uint64_t before = resident_bytes(children.pid(0));
  const LoadResult result = run_load(options.load);
  const std::uint64_t after = resident_bytes(children.pid(0));
  const nlohmann::json report{{"streams", options.load.streams}, {"answers", result.answers}, {"errors", result.errors}, {"first_error", result.first_error},
                              {"tokens", result.tokens}, {"seconds", result.seconds}, {"tokens_per_s", static_cast<double>(result.tokens) / result.seconds},
                              {"requests_per_s", static_cast<double>(result.answers) / result.seconds},
                              {"first_token", times(result.first_token)}, {"between_tokens", times(result.between_tokens)}, {"whole", times(result.whole)},
                              {"resident_bytes_before", before}, {"resident_bytes_after", after},
                              {"generator_cpu_share", result.cpu_seconds / result.seconds}, {"generator_pinned", pinned}};
  if (options.json) {
    print_json(report);
  } else {
    const auto line = [&](const char* name, const std::vector<float>& values) {
      print(fmt::format("  {:<16} p50 {:8.2f} ms   p99 {:8.2f} ms, {:.2f} times as long\n", name, 1e3 * quantile(values, 0.5), 1e3 * quantile(values, 0.99), unsteadiness(values)));
    };
    print(fmt::format("{} answers over {} streams in {:.1f} s, {} errors, {:.0f} tokens/s\n", result.answers, options.load.streams, result.seconds, result.errors, report["tokens_per_s"].get<double>()));
    line("first token", result.first_token);
    line("between tokens", result.between_tokens);
    line("whole answer", result.whole);
    print(fmt::format("  server's memory  {} before, {} after; generator {:.0f} % of a core{}\n", human_bytes(before), human_bytes(after), 100 * result.cpu_seconds / result.seconds, pinned ? ", pinned" : ""));
  }
  if (!result.first_error.empty()) fmt::print(stderr, "starling: first error: {}\n", result.first_error);
  return result.errors == 0 ? 0 : 1;
}

}  // namespace

std::function<int()> serve(CLI::App& app) {
  auto o = std::make_shared<ServeBenchOptions>();
  app.add_option("MODEL", o->model, "model that the server under load serves")->required();
  app.add_option("--nodes", o->nodes, "of the server")->capture_default_str();
  app.add_option("--sequences", o->sequences, "of the server")->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--streams", o->load.streams, "clients at the same time")->capture_default_str()->check(CLI::Range(1, 512));
  app.add_option("--requests", o->load.requests, "in all")->capture_default_str()->check(CLI::Range(1, 1 << 24));
  app.add_option("--tokens", o->load.tokens, "of each answer")->capture_default_str()->check(CLI::Range(1, 1 << 16));
  add_json_flag(app, o->json);
  return [o] { return run_serve_bench(*o); };
}

}  // namespace starling::tools::bench
