// `starling bench llm`: tokens a second of one model, by llama-bench's names: pp512 reads a prompt of 512 tokens, tg128
// writes 128 into an empty cache. Beside them what the machine could do in the same run: bytes of weights read a
// second against the memory's, multiply-adds of the prompt against those of the integer units; and the peak memory.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/error.h"
#include "core/ops/packed_kernels.h"
#include "core/ops/probe.h"
#include "partition/shard.h"
#include "tools/cluster.h"
#include "tools/command.h"
#include "tools/measure.h"
#include "tools/model_run.h"
#include "tools/plan_print.h"

namespace starling::tools::bench {
namespace {

using core::check;
using core::Kind;
using core::TokenId;
using Clock = std::chrono::steady_clock;

struct LlmOptions {
  std::string model, kv_type = "f16";
  std::int64_t prompt = 512, tokens = 128, repeat = 3;
  ClusterOptions cluster;
  bool json = false;
};

nlohmann::json spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {{"median", values[values.size() / 2]}, {"min", values.front()}, {"max", values.back()}};
}

std::uint64_t peak_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

/// What one token costs.
struct Work {
  std::uint64_t bytes = 0;   // of weights, read for a written one: every matrix once, but of an embedding that is not the head a row
  double multiply_adds = 0;  // of the layers' matrices, for one of a prompt
};

Work work_of(const core::LlamaModel& model, const partition::Plan& plan) {
  const core::LlamaConfig& c = model.config;
  check(c.experts == 0, Kind::unsupported, "bench llm: a mixture of experts reads another part of its weights for every token");
  Work work;
  for (const partition::RankPlan& rank : plan.ranks) work.bytes += rank.weight_bytes;
  if (!c.tied) work.bytes -= model.ends.embedding.bytes().size();
  const std::int64_t q = c.heads * c.head_size, kv = c.kv_heads * c.head_size;
  work.multiply_adds = static_cast<double>(c.layers * c.width) * static_cast<double>(2 * q + 2 * kv + 3 * c.ffn);
  return work;
}

double prompt_rate(partition::ShardedLlama& sharded, std::int64_t count) {
  std::vector<TokenId> prompt;
  for (std::int64_t i = 0; i < count; ++i) prompt.push_back(static_cast<TokenId>((7 * i + 3) % sharded.config().vocabulary));
  const auto start = Clock::now();
  sharded.forward(prompt, 0);
  return static_cast<double>(count) / core::seconds_since(start);
}

double writing_rate(partition::ShardedLlama& sharded, std::int64_t count) {
  const auto start = Clock::now();
  TokenId token = 1;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto logits = sharded.forward({&token, 1}, i);
    token = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  return static_cast<double>(count) / core::seconds_since(start);
}

nlohmann::json measure(const LlmOptions& options, const core::LlamaModel& model, Cluster& cluster) {
  core::Pool pool(cluster.threads());
  const partition::ShardOptions shard =
      shard_options(options.cluster, options.kv_type, model, &cluster, std::max(options.prompt, options.tokens));
  const Work work = work_of(model, shard.plan);
  std::vector<double> prompts, tokens;
  std::vector<partition::ShardReport> reports;
  {
    partition::ShardedLlama sharded(model, shard, cluster.transport(), pool);
    writing_rate(sharded, std::min<std::int64_t>(shard.plan.positions, 4));
    for (std::int64_t i = 0; i < options.repeat; ++i) {
      if (options.prompt > 0) prompts.push_back(prompt_rate(sharded, options.prompt));
      if (options.tokens > 0) tokens.push_back(writing_rate(sharded, options.tokens));
    }
    reports = sharded.finish();
  }
  const std::uint64_t peak_rss = peak_memory();  // before the probe takes memory of its own
  core::Pool probe(std::min(cluster.threads() * static_cast<int>(cluster.size()), describe_machine().cores));
  const double bandwidth = core::measure_memory(probe), peak = core::measure_multiply_adds(probe);
  const partition::RankPlan& own = shard.plan.ranks.front();
  nlohmann::json result{{"model", options.model}, {"ranks", cluster.size()}, {"threads", cluster.threads()},
                        {"sum", options.cluster.sum}, {"kernels", core::packed_kernels().name}, {"load_ms", reports.front().load_ms},
                        {"weight_bytes", own.weight_bytes}, {"kv_bytes", own.kv_bytes}, {"peak_rss_bytes", peak_rss},
                        {"read_bytes_per_s", bandwidth}, {"peak_multiply_adds_per_s", peak}};
  if (!prompts.empty()) {
    nlohmann::json& rate = result[fmt::format("pp{}", options.prompt)] = spread_of(prompts);
    result["fraction_of_multiply_adds"] = rate["median"].get<double>() * work.multiply_adds / peak;
  }
  if (!tokens.empty()) {
    nlohmann::json& rate = result[fmt::format("tg{}", options.tokens)] = spread_of(tokens);
    result["weight_bytes_per_s"] = rate["median"].get<double>() * static_cast<double>(work.bytes);
    result["fraction_of_read"] = result["weight_bytes_per_s"].get<double>() / bandwidth;
  }
  return result;
}

void show(const LlmOptions& options, const nlohmann::json& result) {
  const auto number = [&](const char* name) { return result[name].get<double>(); };
  const auto row = [&](const std::string& name, const std::string& beside) {
    const nlohmann::json& rate = result[name];
    print(fmt::format("{:<6} {:>9.2f} tokens/s ({:.2f} to {:.2f})  {}\n", name, rate["median"].get<double>(), rate["min"].get<double>(),
                      rate["max"].get<double>(), beside));
  };
  print(fmt::format("ranks {}, threads {}, {}\n", result["ranks"].get<int>(), result["threads"].get<int>(), result["kernels"].get<std::string>()));
  if (options.prompt > 0)
    row(fmt::format("pp{}", options.prompt), fmt::format("{:.0f} % of {:.0f} G integer multiply-adds/s", 100 * number("fraction_of_multiply_adds"),
                                                         number("peak_multiply_adds_per_s") / 1e9));
  if (options.tokens > 0)
    row(fmt::format("tg{}", options.tokens), fmt::format("{:.1f} GB/s of weights, {:.0f} % of {:.1f} GB/s", number("weight_bytes_per_s") / 1e9,
                                                         100 * number("fraction_of_read"), number("read_bytes_per_s") / 1e9));
  const auto bytes = [&](const char* name) { return human_bytes(result[name].get<std::uint64_t>()); };
  print(fmt::format("peak memory {}: weights {}, cache {}\n", bytes("peak_rss_bytes"), bytes("weight_bytes"), bytes("kv_bytes")));
}

int run_llm(const LlmOptions& options) {
  check(options.prompt + options.tokens > 0, Kind::usage, "--prompt 0 --tokens 0: nothing to measure");
  return run_with_model(options.cluster, [&] { return read_model(options.model, "", true); }, [&](const core::LlamaModel& model, Cluster& cluster) {
    const nlohmann::json result = measure(options, model, cluster);
    if (options.json)
      print_json(result);
    else
      show(options, result);
    return 0;
  });
}

}  // namespace

std::function<int()> llm(CLI::App& app) {
  auto o = std::make_shared<LlmOptions>();
  app.add_option("MODEL", o->model, "model file or folder")->required();
  app.add_option("-p,--prompt", o->prompt, "tokens of the prompt; 0: none")->check(CLI::Range(0, 1 << 20))->capture_default_str();
  app.add_option("-n,--tokens", o->tokens, "tokens that are written; 0: none")->check(CLI::Range(0, 1 << 20))->capture_default_str();
  app.add_option("--repeat", o->repeat, "runs of each; the median counts")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--kv-type", o->kv_type, "f32, f16 or q8_0")->capture_default_str();
  add_cluster_options(app, o->cluster);
  add_json_flag(app, o->json);
  return [o] { return run_llm(*o); };
}

}  // namespace starling::tools::bench
