// A model that answers: loaded, cut over the cluster, with the engine that computes many sequences at once. What
// `starling serve` and `starling chat` have in common.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/pool.h"
#include "core/text/chat/chat_template.h"
#include "core/text/grammar/token_trie.h"
#include "core/text/tokenizer.h"
#include "partition/engine.h"
#include "tools/cluster.h"

namespace CLI {
class App;
}

namespace starling::tools {

struct ModelOptions {
  std::string model, tokenizer, name, kv_type, chat_template;
  std::int64_t context = 0;    // positions of each sequence, 0: the model's, at most 4096
  std::int64_t sequences = 4;  // computed at the same time
  std::int64_t queue = 256;    // that wait beyond them
  ClusterOptions cluster;
};

/// MODEL, --tokenizer, --ctx, --kv-type, --template and the cluster's options.
void add_model_options(CLI::App& app, ModelOptions& options);

/// What a model is called after its file or folder.
std::string name_of(const std::string& model);

std::int64_t seconds_since_1970();

/// Reads the model. Errors as of core::load_model.
core::LlamaModel load_served(const ModelOptions& options);

class ServedModel {
 public:
  /// Sends the slices and starts the engine, which calls `after_step`. `cluster` must outlive this.
  ServedModel(const ModelOptions& options, core::LlamaModel model, Cluster& cluster, std::function<void()> after_step = {});

  const std::string& name() const { return name_; }
  /// Seconds since 1970 when the model was loaded.
  std::int64_t created() const { return created_; }
  std::int64_t context() const { return engine_->plan().positions; }
  std::int64_t width() const;
  std::int64_t vocabulary() const;
  const core::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// A dialogue as a prompt. Kind::unsupported when nobody says in what form this model takes dialogues.
  std::vector<core::TokenId> encode_chat(const core::ChatInput& input) const;
  const core::ChatTemplate& chat_template() const;
  const std::shared_ptr<const core::TokenTrie>& trie() const { return trie_; }
  partition::Engine& engine() { return *engine_; }
  const partition::Engine& engine() const { return *engine_; }
  const std::vector<comm::NodeInfo>& nodes() const { return nodes_; }

 private:
  std::string name_;
  std::int64_t created_ = 0;
  std::vector<comm::NodeInfo> nodes_;
  core::LlamaModel model_;
  std::unique_ptr<core::Tokenizer> tokenizer_;
  std::unique_ptr<core::ChatEncoder> chat_;
  std::shared_ptr<const core::TokenTrie> trie_;
  const core::ChatTemplate* template_ = nullptr;
  std::string no_template_;  // why there is none
  core::Pool pool_;
  std::unique_ptr<partition::ShardedLlama> sharded_;
  std::unique_ptr<partition::Engine> engine_;
};

}  // namespace starling::tools
