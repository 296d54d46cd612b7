// `starling generate`: writes the continuation of a prompt, on one process or on a cluster.
#include <unistd.h>

#include <iterator>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/text/chat/chat_template.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "partition/generate.h"
#include "tools/command.h"
#include "tools/measure.h"
#include "tools/model_run.h"
#include "tools/plan_print.h"
#include "tools/token_ids.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;
using core::TokenId;

struct GenerateOptions {
  std::string model, tokenizer;
  std::string prompt, prompt_file, prompt_ids;
  bool has_prompt = false;
  bool chat = false;
  std::string system, chat_template;
  std::int64_t tokens = 128;
  std::int64_t context = 0;
  std::string kv_type;
  core::SamplerSettings sampler;
  ClusterOptions cluster;
  bool compare = false;
  bool verbose = false;
  bool json = false;
};

constexpr std::uint64_t kPromptBytesMax = std::uint64_t{64} << 20;

/// `text` as the first question of a dialogue, in the form that the model was trained on.
std::vector<TokenId> chat_tokens(const GenerateOptions& options, const core::Tokenizer& tokenizer, const std::string& text) {
  const core::ChatTemplate& form = options.chat_template.empty() ? core::detect_chat_template(tokenizer.vocabulary().chat_template)
                                                                  : core::chat_template(options.chat_template);
  core::ChatInput input;
  if (!options.system.empty()) input.messages.push_back({"system", options.system, {}, ""});
  input.messages.push_back({"user", text, {}, ""});
  return core::ChatEncoder(tokenizer).encode(form.render(input));
}

std::vector<TokenId> prompt_tokens(const GenerateOptions& options, const core::Tokenizer* tokenizer) {
  const int given = options.has_prompt + !options.prompt_file.empty() + !options.prompt_ids.empty();
  check(given == 1, Kind::usage, "give one of --prompt, --prompt-file and --prompt-ids");
  check(options.chat || (options.system.empty() && options.chat_template.empty()), Kind::usage, "--system and --template belong to --chat");
  check(!options.chat || options.prompt_ids.empty(), Kind::usage, "--chat needs a text, not --prompt-ids");
  if (!options.prompt_ids.empty()) return parse_ids(options.prompt_ids, "--prompt-ids");
  check(tokenizer != nullptr, Kind::missing, "{}: has no vocabulary: give --tokenizer FILE or --prompt-ids",
        options.model);
  const std::string text = options.prompt_file.empty() ? options.prompt : core::read_text(options.prompt_file, kPromptBytesMax);
  return options.chat ? chat_tokens(options, *tokenizer, text) : tokenizer->encode(text);
}

/// What one run of the model gives.
struct Run {
  partition::Generation generation;
  partition::Plan plan;
  std::vector<partition::ShardReport> reports;
  nlohmann::json allreduce;
};

/// Of the cache: the prompt and what is written, within the context.
std::int64_t positions(const GenerateOptions& options, const core::LlamaModel& model, std::int64_t prompt) {
  const std::int64_t context = options.context > 0 ? options.context : model.config.context;
  check(prompt <= context, Kind::usage, "a prompt of {} tokens does not fit the context of {} (--ctx)", prompt, context);
  return std::min(context, prompt + options.tokens);
}

nlohmann::json allreduce_json(const comm::TransportGroup& group) {
  const comm::AllReduceUse all = group.overall();
  nlohmann::json json{{"algorithm", all.algorithm},
                      {"count", all.count},
                      {"operand_bytes", all.operand_bytes},
                      {"median_us", all.median_us},
                      {"p99_us", all.p99_us}};
  if (!group.selection().note.empty()) json["note"] = group.selection().note;
  return json;
}

Run run_model(const GenerateOptions& options, const core::LlamaModel& model, std::span<const TokenId> prompt,
              Cluster* cluster, int threads, const partition::GenerateOptions& generate) {
  core::Pool pool(threads);
  comm::Transport* transport = cluster ? cluster->transport() : nullptr;
  const std::int64_t length = positions(options, model, static_cast<std::int64_t>(prompt.size()));
  partition::ShardedLlama sharded(model, shard_options(options.cluster, options.kv_type, model, cluster, length), transport, pool);
  Run run;
  run.generation = partition::generate(sharded, prompt, generate);
  run.plan = sharded.plan();
  if (sharded.group()) run.allreduce = allreduce_json(*sharded.group());
  run.reports = sharded.finish();
  return run;
}

/// Streams whole characters to standard output as tokens come.
class Printer {
 public:
  Printer(const core::Tokenizer* tokenizer, TokenId previous, bool live)
      : tokenizer_(tokenizer), previous_(previous), live_(live) {}

  void add(TokenId id) {
    if (!tokenizer_) return;
    const std::string piece = tokenizer_->decode_next(previous_, id);
    previous_ = id;
    text_ += piece;
    if (live_) write(buffer_.push(piece));
  }
  const std::string& finish() {
    if (live_) write(buffer_.finish() + "\n");
    return text_;
  }

 private:
  static void write(const std::string& text) {
    print(text);
    flush_output();
  }
  const core::Tokenizer* tokenizer_;
  TokenId previous_;
  bool live_;
  core::Utf8Stream buffer_;
  std::string text_;
};

nlohmann::json result_json(const Run& run, const std::string& text, std::size_t prompt) {
  const partition::Generation& g = run.generation;
  nlohmann::json result{{"text", text},
                        {"token_ids", g.ids},
                        {"prompt_tokens", prompt},
                        {"tokens", g.ids.size()},
                        {"ttft_ms", g.ttft_ms},
                        {"prefill_tokens_per_s", g.prefill_tokens_per_s},
                        {"decode_tokens_per_s", g.decode_tokens_per_s},
                        {"logits_hash", fmt::format("{:016x}", g.logits_hash)},
                        {"plan", to_json(run.plan)},
                        {"nodes", nodes_json(run.plan, run.reports)}};
  if (!run.allreduce.is_null()) result["allreduce"] = run.allreduce;
  return result;
}

/// Runs the model once more in this process alone; true when every token and every logit has the same bits.
bool same_alone(const GenerateOptions& options, const core::LlamaModel& model, std::span<const TokenId> prompt,
                const Run& cluster_run, partition::GenerateOptions generate) {
  generate.on_token = nullptr;
  const Run alone = run_model(options, model, prompt, nullptr, describe_machine().cores, generate);
  const bool same = alone.generation.ids == cluster_run.generation.ids &&
                    alone.generation.logits_hash == cluster_run.generation.logits_hash;
  fmt::print(stderr, "compared with a single process: {} tokens, logits {:016x} and {:016x}: {}\n",
             alone.generation.ids.size(), alone.generation.logits_hash, cluster_run.generation.logits_hash,
             same ? "the same bits" : "DIFFERENT");
  return same;
}

int generate_on(const GenerateOptions& options, const core::LlamaModel& model, Cluster& cluster) {
  std::unique_ptr<core::Tokenizer> tokenizer;
  if (model.vocabulary.model != core::TokenizerModel::none) tokenizer = core::make_tokenizer(model.vocabulary);
  const std::vector<TokenId> prompt = prompt_tokens(options, tokenizer.get());
  Printer printer(tokenizer.get(), prompt.empty() ? -1 : prompt.back(), !options.json);
  partition::GenerateOptions generate;
  generate.tokens = options.tokens;
  generate.sampler = options.sampler;
  generate.on_token = [&](TokenId id) { printer.add(id); };
  if (tokenizer) generate.ends = [&](TokenId id) { return tokenizer->ends_generation(id); };

  const Run run = run_model(options, model, prompt, &cluster, cluster.threads(), generate);
  const std::string& text = printer.finish();
  for (const std::string& note : cluster.notes()) fmt::print(stderr, "starling: {}\n", note);
  if (options.json) {
    nlohmann::json result = result_json(run, text, prompt.size());
    if (cluster.link_check()) result["link"] = to_json(*cluster.link_check());
    print_json(result);
  } else if (options.verbose || options.compare) {
    fmt::print(stderr, "\n{}{} tokens, first after {:.1f} ms, then {:.1f} tokens/s\n", table(run.plan, run.reports),
               run.generation.ids.size(), run.generation.ttft_ms, run.generation.decode_tokens_per_s);
  }
  if (options.compare && !same_alone(options, model, prompt, run, generate)) return 1;
  return 0;
}

int run_generate(const GenerateOptions& options) {
  core::validate(options.sampler);
  return run_with_model(
      options.cluster, [&] { return read_model(options.model, options.tokenizer, !options.prompt_ids.empty()); },
      [&](const core::LlamaModel& model, Cluster& cluster) { return generate_on(options, model, cluster); });
}

}  // namespace

std::function<int()> generate(CLI::App& app) {
  auto o = std::make_shared<GenerateOptions>();
  app.add_option("MODEL", o->model, "model file (GGUF, llama2.c) or folder (safetensors)")->required();
  app.add_option("--tokenizer", o->tokenizer, "tokenizer file (default: beside the model)");
  CLI::Option* prompt = app.add_option("--prompt", o->prompt, "text to continue");
  app.add_option("--prompt-file", o->prompt_file, "file whose text to continue");
  app.add_option("--prompt-ids", o->prompt_ids, "token ids to continue, as 1,2,3");
  app.add_flag("--chat", o->chat, "the prompt is a question: apply the model's chat template");
  app.add_option("--system", o->system, "with --chat: how the model should answer");
  app.add_option("--template", o->chat_template, "with --chat: a chat template by name (default: the model's)");
  app.add_option("--tokens", o->tokens, "most tokens to write")->capture_default_str()->check(CLI::Range(1, 1 << 24));
  app.add_option("--ctx", o->context, "positions of the cache (default: the model's context)")
      ->check(CLI::Range(1, 1 << 24));
  app.add_option("--kv-type", o->kv_type, "f32, f16 or q8_0 (default: f32 for F32 models, else f16)");
  app.add_option("--temperature", o->sampler.temperature, "0: greedy")->capture_default_str();
  app.add_option("--top-k", o->sampler.top_k, "keep the k most likely tokens (0: all)")->capture_default_str();
  app.add_option("--top-p", o->sampler.top_p, "keep the likeliest tokens of this mass")->capture_default_str();
  app.add_option("--min-p", o->sampler.min_p, "keep tokens of at least this part of the likeliest one's probability")
      ->capture_default_str();
  app.add_option("--repeat-penalty", o->sampler.repeat_penalty, "above 1: recent tokens become less likely")
      ->capture_default_str();
  add_seed_option(app, o->sampler.seed, "of the draws");
  add_cluster_options(app, o->cluster);
  app.add_flag("--compare", o->compare, "run a single process too; exit 1 unless tokens and logits have the same bits");
  app.add_flag("--verbose", o->verbose, "say who held what");
  add_json_flag(app, o->json);
  return [o, prompt] {
    o->has_prompt = prompt->count() > 0;
    return run_generate(*o);
  };
}

}  // namespace starling::tools
