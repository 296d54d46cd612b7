// One model over the ranks of a transport, tensor-parallel: rank 0 (the master) keeps tokenizer, embedding,
// norm and head and drives; the others serve a slice that it sends them.
//
//   master -> worker   job (ShardJob), then for every tensor of the slice: slice (TensorHeader), data...
//   worker -> master   ready
//   master -> worker   step (shard_step.h): which sequences go on where, then their residual stream
//   all                two all-reduces a layer
//   master -> worker   finish         worker -> master   report
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/group.h"
#include "comm/transport.h"
#include "core/models/llama.h"
#include "core/pool.h"
#include "partition/plan.h"
#include "partition/shard_messages.h"

namespace starling::partition {

inline constexpr std::string_view kShardService = "shard";

struct ShardOptions {
  Plan plan;
  std::int64_t rows_max = 64;       // rows of one step, of all its sequences
  std::string allreduce = "auto";
};

/// What one sequence contributes to a step: `tokens` follow its first `position` tokens, whose keys and values are in
/// `slot`, or are copied there from another sequence's slot, `source`, that begins with the same tokens.
struct Feed {
  std::int64_t slot = 0, source = 0, position = 0;
  std::span<const core::TokenId> tokens;
  bool logits = false;  // whether those after the last token are wanted
};

/// The master's half. With a null transport it is the single process: the same code in a group of one.
class ShardedLlama {
 public:
  /// Sends every rank its slice and returns when all are ready. Kind::refused with the node's words when one
  /// cannot take its part. `model`, `transport` and `pool` must outlive this.
  ShardedLlama(const core::LlamaModel& model, const ShardOptions& options, comm::Transport* transport,
               core::Pool& pool);
  ~ShardedLlama();
  ShardedLlama(const ShardedLlama&) = delete;
  ShardedLlama& operator=(const ShardedLlama&) = delete;

  /// Feeds `tokens` at positions [position, ...) in steps of at most rows_max and returns the logits after the
  /// last one, valid until the next call. Kind::usage when they do not fit the cache.
  std::span<const float> forward(std::span<const core::TokenId> tokens, std::int64_t position);

  /// One step of several sequences, each in a slot of its own, of at most rows_max tokens together. Kind::usage when
  /// a token is outside the vocabulary or does not fit its cache.
  void step(std::span<const Feed> feeds);
  /// Of the last step: the logits of the feed number `feed`, which wanted them.
  std::span<const float> logits(std::size_t feed) const;
  /// Of the last step: the rows of feed number `feed` as the head takes them, {tokens, D}, into `normed`.
  void normed(std::size_t feed, std::span<float> normed);
  /// Of the last step: what follows each token of feed number `feed`, {tokens, vocabulary}, into `logits`.
  void all_logits(std::size_t feed, std::span<float> logits);

  const core::LlamaConfig& config() const;
  std::int64_t positions() const;
  std::int64_t rows_max() const;
  const Plan& plan() const;
  /// What was chosen for the all-reduces, in words and numbers; null for a single process.
  const comm::TransportGroup* group() const;
  /// Throws what is wrong with the other ranks, if anything is: Kind::unreachable for one that is gone or silent. For times
  /// without steps; returns at once.
  void check_ranks();
  /// Ends the job on all nodes and returns what each rank reports, by rank. The nodes are free afterwards.
  std::vector<ShardReport> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What a node grants to a job.
struct NodeBudget {
  std::uint64_t memory_bytes = 0;  // 0: no limit
  int threads = 1;
};

/// The worker's half: runs the job whose settings are given until the master finishes it. Everything it
/// allocated is freed when it returns or throws.
void serve_shard(comm::Transport& transport, core::Bytes settings, const NodeBudget& budget);

}  // namespace starling::partition
