#include "tools/serve/served_model.h"

#include <chrono>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "core/models/load.h"
#include "tools/shard_plan.h"

namespace starling::tools {
namespace {

constexpr std::int64_t kContextDefault = 4096;

partition::ShardOptions shard_options(const ModelOptions& options, const core::LlamaModel& model, Cluster& cluster) {
  partition::PlanOptions plan = plan_options(options.cluster, options.kv_type, model, &cluster);
  plan.positions = options.context > 0 ? options.context : std::min(model.config.context, kContextDefault);
  core::check(plan.positions <= model.config.context, core::Kind::usage, "--ctx {}: the model was made for {} positions",
              plan.positions, model.config.context);
  plan.sequences = options.sequences;
  partition::ShardOptions result;
  result.plan = partition::make_plan(model, plan);
  result.rows_max = std::min(std::max(options.cluster.prefill_chunk, options.sequences), plan.positions * plan.sequences);
  result.allreduce = options.cluster.allreduce;
  return result;
}

}  // namespace

void add_model_options(CLI::App& app, ModelOptions& options) {
  app.add_option("MODEL", options.model, "model file (GGUF, llama2.c) or folder (safetensors)")->required();
  app.add_option("--tokenizer", options.tokenizer, "tokenizer file (default: beside the model)");
  app.add_option("--ctx", options.context, "positions of each conversation (default: the model's, at most 4096)")
      ->check(CLI::Range(1, 1 << 24));
  app.add_option("--kv-type", options.kv_type, "f32, f16 or q8_0 (default: f32 for F32 models, else f16)");
  std::string names;
  for (const core::ChatTemplate& known : core::chat_templates()) names += (names.empty() ? "" : ", ") + std::string(known.name);
  app.add_option("--template", options.chat_template, "the form of dialogues, instead of the one that the model's file names: " + names);
  add_cluster_options(app, options.cluster);
}

std::string name_of(const std::string& model) {
  const std::filesystem::path path(model);
  return path.has_stem() ? path.stem().string() : path.parent_path().filename().string();
}

std::int64_t seconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

core::LlamaModel load_served(const ModelOptions& options) {
  core::LoadOptions load;
  if (!options.tokenizer.empty()) load.tokenizer = options.tokenizer;
  return core::load_model(options.model, load);
}

ServedModel::ServedModel(const ModelOptions& options, core::LlamaModel model, Cluster& cluster, std::function<void()> after_step)
    : name_(options.name.empty() ? name_of(options.model) : options.name),
      created_(seconds_since_1970()),
      nodes_(cluster.nodes()),
      model_(std::move(model)),
      tokenizer_(core::make_tokenizer(model_.vocabulary)),
      chat_(std::make_unique<core::ChatEncoder>(*tokenizer_)),
      trie_(std::make_shared<core::TokenTrie>(*tokenizer_)),
      pool_(cluster.threads()) {
  if (!options.chat_template.empty()) {
    template_ = &core::chat_template(options.chat_template);
  } else {
    try {
      template_ = &core::detect_chat_template(model_.vocabulary.chat_template);
    } catch (const core::Error& error) {
      no_template_ = error.what();
    }
  }
  sharded_ = std::make_unique<partition::ShardedLlama>(model_, shard_options(options, model_, cluster), cluster.transport(), pool_);
  partition::EngineOptions engine;
  engine.queue = options.queue;
  engine.after_step = std::move(after_step);
  engine_ = std::make_unique<partition::Engine>(*sharded_, engine);
}

const core::ChatTemplate& ServedModel::chat_template() const {
  core::check(template_ != nullptr, core::Kind::unsupported, "this model takes no dialogues as it stands: {}; --template says their form", no_template_);
  return *template_;
}

std::vector<core::TokenId> ServedModel::encode_chat(const core::ChatInput& input) const {
  return chat_->encode(chat_template().render(input));
}

std::int64_t ServedModel::width() const { return model_.config.width; }
std::int64_t ServedModel::vocabulary() const { return model_.config.vocabulary; }

}  // namespace starling::tools
