// `starling bench encode`: texts a second that an encoder turns into vectors, one after the other and several together, with
// the check that each has the bits it has alone.
#include <algorithm>
#include <chrono>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/error.h"
#include "core/models/bert.h"
#include "core/models/pack.h"
#include "tools/bench/median.h"
#include "tools/command.h"
#include "tools/measure.h"

namespace starling::tools::bench {
namespace {

using core::check;
using core::Kind;
using core::TokenId;
using Clock = std::chrono::steady_clock;
using Text = std::span<const TokenId>;
using Vectors = std::vector<std::vector<float>>;

struct EncodeOptions {
  std::string model;
  std::vector<std::int64_t> lengths{8, 32, 128, 512};
  std::int64_t together = 512, repeat = 5;
  int threads = 0;
  bool json = false;
};

struct Figures {
  std::int64_t length = 0, texts = 0;
  double alone = 0, together = 0;  // texts a second
  bool same_bits = true;
};

Figures measure(const core::BertModel& model, std::int64_t length, const EncodeOptions& options, core::Pool& pool) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(1, options.together / length));
  std::vector<std::vector<TokenId>> tokens(count);
  for (std::size_t i = 0; i < count; ++i)
    for (std::int64_t k = 0; k < length; ++k)
      tokens[i].push_back(static_cast<TokenId>((7 * k + 3 + 11 * static_cast<std::int64_t>(i)) % model.config.vocabulary));
  const std::vector<Text> texts(tokens.begin(), tokens.end());
  Figures figures{length, static_cast<std::int64_t>(count)};
  std::vector<double> alone, together;
  for (std::int64_t round = 0; round < options.repeat; ++round) {
    auto start = Clock::now();
    Vectors one;
    for (const Text& text : texts) one.push_back(core::embeddings(model, {&text, 1}, pool).front());
    alone.push_back(static_cast<double>(count) / core::seconds_since(start));
    start = Clock::now();
    const Vectors all = core::embeddings(model, texts, pool);
    together.push_back(static_cast<double>(count) / core::seconds_since(start));
    figures.same_bits = figures.same_bits && one == all;
  }
  figures.alone = median_of(alone), figures.together = median_of(together);
  return figures;
}

int run_encode(const EncodeOptions& options) {
  core::BertModel model = core::load_bert(options.model);
  const int threads = options.threads > 0 ? options.threads : describe_machine().cores;
  core::Pool pool(threads);
  core::pack(model, pool);
  nlohmann::json rows = nlohmann::json::array();
  bool same = true;
  if (!options.json) print(fmt::format("threads {}\n{:>6} {:>15} {:>22} {:>12}\n", threads, "tokens", "texts/s alone", "texts/s together", "tokens/s"));
  for (const std::int64_t length : options.lengths) {
    check(length <= model.config.context, Kind::usage, "--lengths {}: this encoder takes 1 to {} tokens", length, model.config.context);
    const Figures f = measure(model, length, options, pool);
    same = same && f.same_bits;
    rows.push_back({{"tokens", f.length}, {"texts_together", f.texts}, {"texts_per_s_alone", f.alone}, {"texts_per_s_together", f.together}, {"same_bits", f.same_bits}});
    if (!options.json)
      print(fmt::format("{:>6} {:>15.1f} {:>13.1f} ({:>3} once) {:>12.0f}\n", f.length, f.alone, f.together, f.texts, f.together * static_cast<double>(f.length)));
  }
  if (options.json) print_json({{"model", options.model}, {"threads", threads}, {"lengths", std::move(rows)}});
  check(same, Kind::internal, "bench encode: a text's vector has other bits in a batch than alone");
  return 0;
}

}  // namespace

std::function<int()> encode(CLI::App& app) {
  auto o = std::make_shared<EncodeOptions>();
  app.add_option("MODEL", o->model, "an encoder: GGUF file or folder")->required();
  app.add_option("--lengths", o->lengths, "tokens of a text")->check(CLI::Range(1, 1 << 20))->delimiter(',')->capture_default_str();
  app.add_option("--together", o->together, "tokens of all texts that are encoded at once, about")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  app.add_option("--repeat", o->repeat, "runs of each; the median counts")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--threads", o->threads, "threads; 0: one per core")->check(CLI::Range(0, 1024))->capture_default_str();
  add_json_flag(app, o->json);
  return [o] { return run_encode(*o); };
}

}  // namespace starling::tools::bench
