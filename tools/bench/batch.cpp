// `starling bench batch`: what continuous batching and the reuse of prefixes bring. Tokens a second of 1, 2, 4, ...
// sequences in one batch, with the check that each has the bits it has alone; and the time to the first token of a
// prompt whose beginning was seen before, against that of one that was not.
#include <algorithm>
#include <chrono>
#include <future>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "comm/frame.h"
#include "core/error.h"
#include "partition/engine.h"
#include "tools/bench/median.h"
#include "tools/cluster.h"
#include "tools/command.h"
#include "tools/model_run.h"
#include "tools/shard_plan.h"

namespace starling::tools::bench {
namespace {

using core::check;
using core::Kind;
using core::TokenId;
using Clock = std::chrono::steady_clock;

struct BatchOptions {
  std::string model, kv_type = "f16";
  std::vector<std::int64_t> sequences{1, 2, 4, 8};
  std::int64_t tokens = 32, prompt = 16, prefix = 512, rounds = 3;
  ClusterOptions cluster;
  bool json = false;
};

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

/// A prompt that shares nothing with another of a different `seed`.
std::vector<TokenId> prompt_of(std::uint64_t seed, std::int64_t count, std::int64_t vocabulary) {
  std::vector<TokenId> tokens;
  std::uint64_t state = seed;
  for (std::int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    tokens.push_back(static_cast<TokenId>((state >> 33) % static_cast<std::uint64_t>(vocabulary)));
  }
  return tokens;
}

/// Writes greedily and remembers when.
class Timed final : public partition::Decoder {
 public:
  explicit Timed(std::int64_t tokens) : tokens_(tokens) { times.reserve(static_cast<std::size_t>(tokens)); }

  void started(std::int64_t found) override { cached = found; }
  std::optional<TokenId> next(std::span<const float> logits) override {
    const std::uint64_t pair[2] = {hash, comm::checksum(std::as_bytes(logits))};
    hash = comm::checksum(std::as_bytes(std::span(pair)));
    times.push_back(Clock::now());
    if (static_cast<std::int64_t>(times.size()) < tokens_)
      return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    over_.set_value();
    return std::nullopt;
  }
  void ended(partition::Ending, const core::Error& why) override { over_.set_exception(std::make_exception_ptr(why)); }
  void wait() { over_.get_future().get(); }

  std::uint64_t hash = 0;  // over every logit
  std::int64_t cached = 0;
  std::vector<Clock::time_point> times;  // of every token

 private:
  std::int64_t tokens_;
  std::promise<void> over_;
};

struct BatchFigures {
  std::int64_t sequences = 0;
  double tokens_per_s = 0;
  bool same_bits = true;
};

/// Hands the prompts out in batches of `n`; a batch is timed from the step that gave the last of its sequences its
/// first token to the step that ended the first of them. The median over all batches counts.
BatchFigures run_batches(partition::Engine& engine, const std::vector<std::vector<TokenId>>& prompts, std::size_t n, const BatchOptions& options,
                     std::vector<std::uint64_t>& alone) {
  BatchFigures result{static_cast<std::int64_t>(n)};
  std::vector<double> rates;
  for (std::size_t first = 0; first + n <= prompts.size(); first += n) {
    std::vector<std::shared_ptr<Timed>> batch;
    for (std::size_t i = 0; i < n; ++i) {
      batch.push_back(std::make_shared<Timed>(options.tokens));
      engine.submit({prompts[first + i], batch.back()});
    }
    for (const auto& sequence : batch) sequence->wait();
    Clock::time_point begin = batch[0]->times.front(), end = batch[0]->times.back();
    for (const auto& sequence : batch) {
      begin = std::max(begin, sequence->times.front());
      end = std::min(end, sequence->times.back());
    }
    std::int64_t count = 0;
    for (const auto& sequence : batch)
      for (const Clock::time_point time : sequence->times) count += time > begin && time <= end;
    check(count > 0, Kind::usage, "--tokens {}: too few to overlap in a batch of {}", options.tokens, n);
    rates.push_back(static_cast<double>(count) / seconds(end - begin));
    for (std::size_t i = 0; i < n; ++i) {
      std::uint64_t& expected = alone[first + i];
      if (expected == 0) expected = batch[i]->hash;
      result.same_bits = result.same_bits && expected == batch[i]->hash;
    }
  }
  result.tokens_per_s = median_of(rates);
  return result;
}

/// The time to the first token of a prompt in which `cached` tokens were found.
struct FirstToken {
  double ms = 0;
  std::int64_t cached = 0;
};

FirstToken first_token(partition::Engine& engine, std::vector<TokenId> prompt) {
  const auto sequence = std::make_shared<Timed>(1);
  const auto begin = Clock::now();
  engine.submit({std::move(prompt), sequence});
  sequence->wait();
  return {1e3 * seconds(sequence->times.front() - begin), sequence->cached};
}

nlohmann::json measure_prefix(partition::ShardedLlama& model, const BatchOptions& options) {
  partition::Engine engine(model, {});
  std::vector<double> fresh, reused;
  std::int64_t cached = 0;
  for (std::int64_t round = 0; round < options.rounds; ++round) {
    auto prompt = prompt_of(1000 + static_cast<std::uint64_t>(round), options.prefix, model.config().vocabulary);
    prompt.push_back(1);
    fresh.push_back(first_token(engine, prompt).ms);
    prompt.back() = 2;
    const FirstToken second = first_token(engine, prompt);
    reused.push_back(second.ms);
    cached = second.cached;
  }
  const double median = median_of(fresh), again = median_of(reused);
  return {{"prefix_tokens", options.prefix}, {"ttft_ms", median}, {"ttft_reused_ms", again}, {"reused_tokens", cached}, {"ratio", again / median}};
}

partition::ShardOptions batch_options(const BatchOptions& options, const core::LlamaModel& model, Cluster& cluster) {
  partition::PlanOptions plan = plan_options(options.cluster, options.kv_type, model, &cluster);
  plan.positions = std::max(options.prefix + 2, options.prompt + options.tokens);
  plan.sequences = *std::max_element(options.sequences.begin(), options.sequences.end());
  partition::ShardOptions result;
  result.plan = partition::make_plan(model, plan);
  result.rows_max = std::max(options.cluster.prefill_chunk, plan.sequences);
  result.allreduce = options.cluster.allreduce;
  return result;
}

int measure(const BatchOptions& options, const core::LlamaModel& model, Cluster& cluster) {
  core::Pool pool(cluster.threads());
  partition::ShardedLlama sharded(model, batch_options(options, model, cluster), cluster.transport(), pool);
  const std::int64_t most = sharded.plan().sequences;
  std::vector<std::vector<TokenId>> prompts;
  for (std::int64_t i = 0; i < most; ++i)
    prompts.push_back(prompt_of(static_cast<std::uint64_t>(i) + 1, options.prompt, model.config.vocabulary));
  std::vector<std::uint64_t> alone(prompts.size());  // hashes; the first run of a prompt sets it, the others compare
  nlohmann::json sizes = nlohmann::json::array();
  bool same = true;
  if (!options.json) print(fmt::format("{:>9} {:>10} {:>7} {}\n", "sequences", "tokens/s", "ratio", "bits"));
  {
    partition::Engine engine(sharded, {.reuse_prefixes = false});
    const BatchFigures one = run_batches(engine, prompts, 1, options, alone);
    for (const std::int64_t n : options.sequences) {
      const BatchFigures m = n == 1 ? one : run_batches(engine, prompts, static_cast<std::size_t>(n), options, alone);
      const double ratio = m.tokens_per_s / one.tokens_per_s;
      same = same && m.same_bits;
      sizes.push_back({{"sequences", n}, {"tokens_per_s", m.tokens_per_s}, {"ratio", ratio}, {"same_bits", m.same_bits}});
      if (!options.json)
        print(fmt::format("{:>9} {:>10.1f} {:>7.2f} {}\n", n, m.tokens_per_s, ratio, m.same_bits ? "as alone" : "DIFFERENT"));
    }
  }
  const nlohmann::json prefix = measure_prefix(sharded, options);
  sharded.finish();
  if (options.json) {
    print_json({{"model", options.model}, {"ranks", cluster.size()}, {"threads", cluster.threads()}, {"tokens", options.tokens},
                {"logits_hash", fmt::format("{:016x}", comm::checksum(std::as_bytes(std::span(alone))))}, {"batches", sizes}, {"prefix", prefix}});
  } else {
    print(fmt::format("first token after {:.1f} ms; with {} tokens of {} found in a cache after {:.1f} ms: {:.3f} of it\n", prefix["ttft_ms"].get<double>(),
                      prefix["reused_tokens"].get<std::int64_t>(), options.prefix + 1, prefix["ttft_reused_ms"].get<double>(), prefix["ratio"].get<double>()));
  }
  return same ? 0 : 1;
}

int run_batch(const BatchOptions& options) {
  for (const std::int64_t n : options.sequences)
    check(n >= 1 && n <= 64, Kind::usage, "--sequences {}: expected 1 to 64 each", n);
  return run_with_model(options.cluster, [&] { return read_model(options.model, "", true); },
                        [&](const core::LlamaModel& model, Cluster& cluster) { return measure(options, model, cluster); });
}

}  // namespace

std::function<int()> batch(CLI::App& app) {
  auto o = std::make_shared<BatchOptions>();
  app.add_option("MODEL", o->model, "model file or folder")->required();
  app.add_option("--sequences", o->sequences, "sizes of the batches, as 1,2,4,8")->delimiter(',')->capture_default_str();
  app.add_option("--tokens", o->tokens, "that every sequence writes")->check(CLI::Range(4, 1 << 16))->capture_default_str();
  app.add_option("--prompt", o->prompt, "tokens of a sequence's prompt")->check(CLI::Range(1, 1 << 16))->capture_default_str();
  app.add_option("--prefix", o->prefix, "tokens that the prompts of the second measurement share")->check(CLI::Range(1, 1 << 16))->capture_default_str();
  app.add_option("--rounds", o->rounds, "of the second measurement; the median counts")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--kv-type", o->kv_type, "f32, f16 or q8_0")->capture_default_str();
  add_cluster_options(app, o->cluster);
  add_json_flag(app, o->json);
  return [o] { return run_batch(*o); };
}

}  // namespace starling::tools::bench
