// `starling perplexity`: how well a model predicts a text, on one process or on a cluster. The text is cut into windows
// of the context's length, one behind the other; every window begins with the vocabulary's begin token, if it has one,
// and every token after the first counts. --steps writes what was likeliest at every step, for comparisons with other
// programs.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/file.h"
#include "core/text/tokenizer.h"
#include "tools/command.h"
#include "tools/model_run.h"
#include "tools/token_ids.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;
using core::TokenId;

struct PerplexityOptions {
  std::string model, file, tokenizer, kv_type, steps;
  bool ids = false;
  std::int64_t context = 0, windows = 0;
  ClusterOptions cluster;
  bool json = false;
};

constexpr std::uint64_t kMeasuredBytesMax = std::uint64_t{1} << 30;

/// Windows of at most `context` tokens.
std::vector<std::vector<TokenId>> cut(std::span<const TokenId> text, std::optional<TokenId> begin, std::int64_t context,
                                      std::int64_t most) {
  std::vector<std::vector<TokenId>> windows;
  const std::size_t length = static_cast<std::size_t>(context) - (begin ? 1 : 0);
  for (std::size_t at = 0; at < text.size() && (most == 0 || static_cast<std::int64_t>(windows.size()) < most); at += length) {
    const auto part = text.subspan(at, std::min(length, text.size() - at));
    std::vector<TokenId> window(part.begin(), part.end());
    if (begin) window.insert(window.begin(), *begin);
    if (window.size() > 1) windows.push_back(std::move(window));
  }
  return windows;
}

/// -log of the probability of `next`.
double surprise(std::span<const float> logits, TokenId next) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - static_cast<double>(largest));
  return std::log(sum) + static_cast<double>(largest) - static_cast<double>(logits[static_cast<std::size_t>(next)]);
}

/// Over the tokens that were predicted. The steps are those of one window.
struct Score {
  double sum = 0;
  std::int64_t tokens = 0;
  std::vector<TokenId> likeliest;
  std::vector<float> gap;  // between the two largest logits

  void add(std::span<const float> logits, TokenId next, bool step) {
    sum += surprise(logits, next);
    ++tokens;
    if (!step) return;
    const auto best = std::max_element(logits.begin(), logits.end());
    float second = -std::numeric_limits<float>::infinity();
    for (auto at = logits.begin(); at != logits.end(); ++at)
      if (at != best) second = std::max(second, *at);
    likeliest.push_back(static_cast<TokenId>(best - logits.begin()));
    gap.push_back(*best - second);
  }
};

void score_window(partition::ShardedLlama& model, std::span<const TokenId> window, std::vector<float>& logits, bool steps, Score& score) {
  const auto vocabulary = static_cast<std::size_t>(model.config().vocabulary);
  const auto step = static_cast<std::size_t>(model.rows_max());
  for (std::size_t at = 0; at + 1 < window.size(); at += step) {
    const auto tokens = window.subspan(at, std::min(step, window.size() - 1 - at));
    const partition::Feed feed{.position = static_cast<std::int64_t>(at), .tokens = tokens};
    model.step(std::span(&feed, 1));
    const auto rows = std::span(logits).first(tokens.size() * vocabulary);
    model.all_logits(0, rows);
    for (std::size_t i = 0; i < tokens.size(); ++i) score.add(rows.subspan(i * vocabulary, vocabulary), window[at + i + 1], steps);
  }
}

/// The whole text as tokens, and what every window begins with.
std::pair<std::vector<TokenId>, std::optional<TokenId>> read_tokens(const PerplexityOptions& options, const core::LlamaModel& model) {
  const std::string text = core::read_text(options.file, kMeasuredBytesMax);
  if (options.ids) return {parse_ids(text, "--ids"), std::nullopt};
  const auto tokenizer = core::make_tokenizer(model.vocabulary);
  const core::Vocabulary& vocabulary = tokenizer->vocabulary();
  return {tokenizer->encode(text, {.add_special = false}), vocabulary.add_bos.value_or(false) ? vocabulary.bos : std::nullopt};
}

/// One JSON object a window.
void write_steps(const core::Sink& sink, const std::vector<TokenId>& window, Score& score) {
  const nlohmann::json line{{"tokens", window}, {"likeliest", std::exchange(score.likeliest, {})}, {"gap", std::exchange(score.gap, {})}};
  const std::string text = line.dump() + "\n";
  sink(std::as_bytes(std::span(text)));
}

int measure(const PerplexityOptions& options, const core::LlamaModel& model, Cluster& cluster) {
  const auto [text, begin] = read_tokens(options, model);
  const std::int64_t context = options.context > 0 ? options.context : model.config.context;
  check(context >= 2 && context <= model.config.context, Kind::usage, "--ctx {}: expected 2 to the model's context of {}", context,
        model.config.context);
  const auto windows = cut(text, begin, context, options.windows);
  check(!windows.empty(), Kind::usage, "{}: {} tokens, none of which can be predicted", options.file, text.size());

  const auto longest = static_cast<std::int64_t>(windows.front().size());
  const partition::ShardOptions shard = shard_options(options.cluster, options.kv_type, model, &cluster, longest);
  core::Pool pool(cluster.threads());
  partition::ShardedLlama sharded(model, shard, cluster.transport(), pool);
  std::vector<float> logits(static_cast<std::size_t>(shard.rows_max * model.config.vocabulary));
  Score score;
  const auto start = std::chrono::steady_clock::now();
  if (options.steps.empty()) {
    for (const auto& window : windows) score_window(sharded, window, logits, false, score);
  } else {
    core::write_file(options.steps, [&](const core::Sink& sink) {
      for (const auto& window : windows) {
        score_window(sharded, window, logits, true, score);
        write_steps(sink, window, score);
      }
    });
  }
  const double seconds = core::seconds_since(start);
  sharded.finish();

  const double mean = score.sum / static_cast<double>(score.tokens), perplexity = std::exp(mean);
  const double rate = static_cast<double>(score.tokens) / seconds;
  if (options.json)
    print_json({{"tokens", score.tokens}, {"windows", windows.size()}, {"context", context}, {"nll", mean},
                {"perplexity", perplexity}, {"tokens_per_s", rate}});
  else
    print(fmt::format("{:.6f} nats a token, perplexity {:.4f}, over {} tokens in {} windows of {} ({:.0f} tokens/s)\n", mean, perplexity,
                      score.tokens, windows.size(), context, rate));
  return 0;
}

int run_perplexity(const PerplexityOptions& options) {
  return run_with_model(
      options.cluster, [&] { return read_model(options.model, options.tokenizer, options.ids); },
      [&](const core::LlamaModel& model, Cluster& cluster) { return measure(options, model, cluster); });
}

}  // namespace

std::function<int()> perplexity(CLI::App& app) {
  auto o = std::make_shared<PerplexityOptions>();
  app.add_option("MODEL", o->model, "model file (GGUF, llama2.c) or folder (safetensors)")->required();
  app.add_option("FILE", o->file, "text to predict")->required();
  app.add_option("--tokenizer", o->tokenizer, "tokenizer file (default: beside the model)");
  app.add_option("--ctx", o->context, "tokens of a window (default: the model's context)")->check(CLI::Range(2, 1 << 24));
  app.add_option("--windows", o->windows, "at most so many windows (default: the whole text)")->check(CLI::Range(1, 1 << 24));
  app.add_flag("--ids", o->ids, "the file holds token ids, as 1,2,3, of which windows take all");
  app.add_option("--steps", o->steps, "file to write: for every window a JSON object of its tokens, the likeliest at each step and how far its logit is ahead");
  app.add_option("--kv-type", o->kv_type, "f32, f16 or q8_0 (default: f32 for F32 models, else f16)");
  add_cluster_options(app, o->cluster);
  add_json_flag(app, o->json);
  return [o] { return run_perplexity(*o); };
}

}  // namespace starling::tools
