// `starling bench equality`: the promise of the project, checked on this machine. Greedy generation over every
// combination of transport, ranks, shares, all-reduce algorithm and prefill chunk gives the token ids and the
// logits of the single process, bit for bit.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "comm/collective.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/models/load.h"
#include "core/text/tokenizer.h"
#include "partition/generate.h"
#include "tools/bench/combinations.h"
#include "tools/cluster.h"
#include "tools/command.h"
#include "tools/measure.h"
#include "tools/run.h"

namespace starling::tools::bench {
namespace {

using core::check;
using core::Kind;
using core::TokenId;

struct EqualityOptions {
  std::vector<std::string> models;
  std::string prompts;
#ifdef STARLING_MPI
  std::vector<std::string> transports{"inproc", "tcp", "zmq", "mpi"};
#else
  std::vector<std::string> transports{"inproc", "tcp", "zmq"};
#endif
  std::vector<int> ranks{1, 2, 3, 4, 5, 8};
  std::vector<std::string> shares{"even", "falling", "zero"};
  std::vector<std::string> algorithms;
  std::vector<std::int64_t> chunks{64};
  std::int64_t tokens = 200;
  bool pairs = false;
  int random_prompts = 0;
  bool forced = false;
  std::vector<std::string> mpi_child;  // what a rank of an MPI job runs
  bool json = false;
};

/// One model with its prompts and what a single process makes of them.
struct Subject {
  std::string name;
  core::LlamaModel model;
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::vector<TokenId>> forced;  // one per prompt, or none
  std::vector<partition::Generation> expected;
};

struct Tally {
  int combinations = 0, generations = 0, different = 0;
  std::vector<std::string> failures;
};

std::vector<double> shares_of(const std::string& kind, int ranks) {
  std::vector<double> shares;
  for (int i = 0; i < ranks; ++i) {
    if (kind == "even") shares.push_back(1);
    if (kind == "falling") shares.push_back(ranks - i);
    if (kind == "zero") shares.push_back(ranks > 1 && i == ranks / 2 ? 0 : 1);
  }
  check(!shares.empty(), Kind::usage, "--shares {}: expected even, falling or zero", kind);
  return shares;
}

partition::ShardOptions shard_options(const Subject& subject, std::span<const double> shares, std::int64_t chunk,
                                      std::int64_t tokens, const std::string& algorithm) {
  std::size_t longest = 0;
  for (const auto& prompt : subject.prompts) longest = std::max(longest, prompt.size());
  partition::PlanOptions plan;
  plan.shares.assign(shares.begin(), shares.end());
  for (std::size_t i = 0; i < shares.size(); ++i) plan.names.push_back("rank-" + std::to_string(i));
  plan.positions = std::min(subject.model.config.context, static_cast<std::int64_t>(longest) + tokens);
  plan.kv_type = subject.model.blocks.front().query.type() == core::Type::f32 ? core::Type::f32 : core::Type::f16;
  partition::ShardOptions options;
  options.plan = partition::make_plan(subject.model, plan);
  options.rows_max = chunk == 0 ? plan.positions : std::min(chunk, plan.positions);
  options.allreduce = algorithm;
  return options;
}

std::vector<partition::Generation> run_all(const Subject& subject, const partition::ShardOptions& options,
                                           std::int64_t tokens, comm::Transport* transport, int threads) {
  core::Pool pool(threads);
  partition::ShardedLlama sharded(subject.model, options, transport, pool);
  partition::GenerateOptions generate;
  generate.tokens = tokens;
  std::vector<partition::Generation> results;
  for (std::size_t i = 0; i < subject.prompts.size(); ++i) {
    if (!subject.forced.empty()) generate.forced = subject.forced[i];
    results.push_back(partition::generate(sharded, subject.prompts[i], generate));
  }
  sharded.finish();
  return results;
}

std::vector<std::vector<TokenId>> read_prompts(const std::string& path, const core::Tokenizer& tokenizer) {
  const auto texts = nlohmann::json::parse(core::read_text(path, 1 << 20), nullptr, false);
  check(texts.is_array() && !texts.empty(), Kind::malformed, "{}: expected a JSON list of strings", path);
  std::vector<std::vector<TokenId>> prompts;
  for (const auto& text : texts) {
    check(text.is_string(), Kind::malformed, "{}: expected a JSON list of strings", path);
    prompts.push_back(tokenizer.encode(text.get<std::string>()));
  }
  return prompts;
}

/// `count` lists of random ids; lengths from 3 up to `length`.
std::vector<std::vector<TokenId>> random_ids(int count, std::int64_t length, bool all_full, std::int64_t vocabulary,
                                             std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::vector<TokenId>> lists;
  for (int i = 0; i < count; ++i) {
    const std::int64_t n = all_full ? length : 3 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(length - 2));
    std::vector<TokenId> ids;
    for (std::int64_t k = 0; k < n; ++k)
      ids.push_back(static_cast<TokenId>(random() % static_cast<std::uint64_t>(vocabulary)));
    lists.push_back(std::move(ids));
  }
  return lists;
}

Subject load_subject(const std::string& path, const EqualityOptions& options) {
  constexpr std::int64_t kRandomPromptLength = 100;
  Subject subject;
  subject.name = std::filesystem::path(path).filename().string();
  subject.model = core::load_model(path, {});
  const std::int64_t vocabulary = subject.model.config.vocabulary;
  subject.prompts = options.random_prompts > 0
                        ? random_ids(options.random_prompts, kRandomPromptLength, false, vocabulary, 1)
                        : read_prompts(options.prompts, *core::make_tokenizer(subject.model.vocabulary));
  if (options.forced)
    subject.forced = random_ids(static_cast<int>(subject.prompts.size()), options.tokens, true, vocabulary, 2);
  const auto single = shard_options(subject, std::vector<double>{1.0}, 64, options.tokens, "star");
  const auto start = comm::Clock::now();
  subject.expected = run_all(subject, single, options.tokens, nullptr, 1);
  fmt::print(stderr, "{} in a single process ({:.1f} s)\n", subject.name,
             core::seconds_since(start));
  return subject;
}

void compare(const Subject& subject, const std::vector<partition::Generation>& results, const std::string& what,
             Tally& tally) {
  ++tally.combinations;
  for (std::size_t i = 0; i < results.size(); ++i) {
    ++tally.generations;
    if (results[i].ids == subject.expected[i].ids && results[i].logits_hash == subject.expected[i].logits_hash) continue;
    ++tally.different;
    tally.failures.push_back(fmt::format("{}, prompt {}", what, i));
    fmt::print(stderr, "DIFFERENT: {}\n", tally.failures.back());
  }
}

using Combinations = std::span<const Combination>;

/// All of one transport and one number of ranks.
void run_cluster(Cluster& cluster, Combinations combinations, const std::vector<Subject>& subjects, const EqualityOptions& options,
                 Tally& tally) {
  const int ranks = cluster.size();
  for (const Combination& c : combinations) {
    const Subject& subject = subjects.at(c.model);
    const std::string what = fmt::format("{} {} x{} {} {} chunk {}", subject.name, c.transport, ranks, c.shares, c.algorithm,
                                         c.chunk == 0 ? "whole" : std::to_string(c.chunk));
    const auto shard = shard_options(subject, shares_of(c.shares, ranks), c.chunk, options.tokens, c.algorithm);
    const auto start = comm::Clock::now();
    compare(subject, run_all(subject, shard, options.tokens, cluster.transport(), cluster.threads()), what, tally);
    if (options.mpi_child.empty())
      fmt::print(stderr, "{} ({:.1f} s)\n", what, core::seconds_since(start));
  }
}

/// The ranks of an MPI job are started by mpirun: this program again, which prints its own tally.
void run_mpi(Combinations combinations, const EqualityOptions& options, Tally& tally) {
  const int ranks = combinations.front().ranks;
  std::vector<std::string> command{"mpirun", "-n", std::to_string(ranks), "--oversubscribe"};
  if (::geteuid() == 0) command.emplace_back("--allow-run-as-root");
  command.insert(command.end(), {std::filesystem::read_symlink(kOwnProgram).string(), "bench", "equality"});
  command.insert(command.end(), options.models.begin(), options.models.end());
  if (!options.prompts.empty()) command.insert(command.end(), {"--prompts", options.prompts});
  if (options.random_prompts > 0) command.insert(command.end(), {"--random", std::to_string(options.random_prompts)});
  if (options.forced) command.emplace_back("--forced");
  command.insert(command.end(), {"--tokens", std::to_string(options.tokens), "--json"});
  for (const Combination& c : combinations) command.insert(command.end(), {"--mpi-child", to_text(c)});
  const auto start = comm::Clock::now();
  constexpr auto kPatience = std::chrono::hours(6);
  const std::string output = run_command(command, comm::Clock::now() + kPatience).output;
  const std::size_t begin = output.rfind("{\"combinations");  // mpirun may have remarks of its own
  const auto result = nlohmann::json::parse(begin == std::string::npos ? "" : output.substr(begin), nullptr, false);
  check(result.is_object(), Kind::refused, "mpirun with {} ranks printed no result: {}", ranks, output);
  tally.combinations += result.at("combinations").get<int>();
  tally.generations += result.at("generations").get<int>();
  tally.different += result.at("different").get<int>();
  for (const auto& failure : result.at("failures")) tally.failures.push_back(failure);
  fmt::print(stderr, "mpi x{}: {} combinations, {} different ({:.1f} s)\n", ranks, result.at("combinations").get<int>(),
             result.at("different").get<int>(), core::seconds_since(start));
}

int finish(const EqualityOptions& options, const Tally& tally, double seconds) {
  if (options.json) {
    print_json({{"combinations", tally.combinations},
                {"generations", tally.generations},
                {"different", tally.different},
                {"failures", tally.failures},
                {"seconds", seconds}});
  } else {
    print(fmt::format("{} combinations, {} generations of up to {} tokens in {:.0f} s: {}\n", tally.combinations,
                      tally.generations, options.tokens, seconds,
                      tally.different == 0 ? "all ids and logits have the bits of the single process"
                                           : fmt::format("{} DIFFERENT", tally.different)));
  }
  return tally.different == 0 && tally.combinations > 0 ? 0 : 1;
}

std::vector<Subject> load_subjects(const EqualityOptions& options) {
  std::vector<Subject> subjects;
  for (const std::string& model : options.models) subjects.push_back(load_subject(model, options));
  return subjects;
}

int run_mpi_rank(const EqualityOptions& options) {
  const auto start = comm::Clock::now();
  ClusterOptions cluster_options;
  cluster_options.nodes = "mpi";
  Cluster cluster(cluster_options);
  if (cluster.is_worker()) return cluster.serve();
  std::vector<Combination> combinations;
  for (const std::string& text : options.mpi_child) {
    combinations.push_back(parse_combination(text));
    combinations.back().transport = "mpi";
  }
  Tally tally;
  run_cluster(cluster, combinations, load_subjects(options), options, tally);
  return finish(options, tally, core::seconds_since(start));
}

int run_equality(EqualityOptions options) {
  const auto start = comm::Clock::now();
  if (options.algorithms.empty())
    for (const comm::Collective& c : comm::collectives()) options.algorithms.emplace_back(c.name);
  check(options.prompts.empty() != (options.random_prompts <= 0), Kind::usage, "give one of --prompts and --random");
  if (!options.mpi_child.empty()) return run_mpi_rank(options);
  std::vector<Combination> all = combinations(
      {options.transports, options.ranks, options.models.size(), options.shares, options.algorithms, options.chunks});
  if (options.pairs) all = covering_pairs(all);
  const std::vector<Subject> subjects = load_subjects(options);
  Tally tally;
  for (auto begin = all.begin(); begin != all.end();) {
    const auto end = std::find_if(begin, all.end(), [&](const Combination& c) {
      return c.transport != begin->transport || c.ranks != begin->ranks;
    });
    const Combinations together(begin, end);
    if (begin->transport == "mpi") {
      run_mpi(together, options, tally);
    } else {
      ClusterOptions cluster_options;
      cluster_options.nodes = "local:" + std::to_string(begin->ranks);
      cluster_options.transport = begin->transport;
      Cluster cluster(cluster_options);
      run_cluster(cluster, together, subjects, options, tally);
    }
    begin = end;
  }
  return finish(options, tally, core::seconds_since(start));
}

}  // namespace

std::function<int()> equality(CLI::App& app) {
  auto o = std::make_shared<EqualityOptions>();
  app.add_option("MODEL", o->models, "model files")->required();
  app.add_option("--prompts", o->prompts, "JSON list of prompts");
  app.add_option("--random", o->random_prompts, "this many prompts of random ids instead");
  app.add_flag("--forced", o->forced, "continue with random ids instead of the likeliest ones");
  app.add_option("--ranks", o->ranks, "rank counts")->delimiter(',')->capture_default_str();
  app.add_option("--transports", o->transports, "of inproc, tcp, zmq, mpi")->delimiter(',')->capture_default_str();
  app.add_option("--shares", o->shares, "of even, falling (N:...:2:1), zero (one rank with 0)")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--allreduce", o->algorithms, "algorithms (default: all)")->delimiter(',');
  app.add_option("--chunks", o->chunks, "prefill chunks, 0: the whole prompt")->delimiter(',')->capture_default_str();
  app.add_option("--tokens", o->tokens, "tokens a prompt")->capture_default_str();
  app.add_flag("--pairs", o->pairs, "not every combination, but every pair of values of two options");
  app.add_option("--mpi-child", o->mpi_child)->group("");
  add_json_flag(app, o->json);
  return [o] { return run_equality(*o); };
}

}  // namespace starling::tools::bench
