// Continuous batching: one thread steps a (possibly distributed) model for many sequences that come and go. Every step
// takes the next token of each sequence that writes and fills up with pieces of waiting prompts (schedule.h). A
// sequence has the bits it would have alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "partition/schedule.h"
#include "partition/shard.h"

namespace starling::partition {

/// Why a sequence ended before its decoder ended it.
enum class Ending { cancelled, context_full, failed };

/// What the engine asks about one sequence, on the engine's thread. Must not block: all sequences wait meanwhile. What
/// next() throws ends its sequence (Ending::failed); the others must not throw.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// The prompt is about to be computed; its first `cached` tokens were already there.
  virtual void started(std::int64_t cached) = 0;
  /// Logits after the last token; the next token, or nothing: the sequence is over, and no other call follows.
  virtual std::optional<core::TokenId> next(std::span<const float> logits) = 0;
  /// The sequence ended otherwise; the last call. context_full comes after the token for which there was no room.
  virtual void ended(Ending ending, const core::Error& why) = 0;
};

struct Request {
  std::vector<core::TokenId> prompt;
  std::shared_ptr<Decoder> decoder;
};

struct EngineOptions {
  std::int64_t queue = 256;  // requests that wait for a slot, at most
  bool reuse_prefixes = true;
  /// Called on the engine's thread when the decoders have what a step gave; the next step begins when it returns.
  std::function<void()> after_step{};
};

/// A snapshot between two steps.
struct EngineStatus {
  std::int64_t running = 0, waiting = 0;               // requests
  std::int64_t sequences = 0;                          // that can run at the same time
  std::int64_t positions_used = 0, positions = 0;      // of all caches; what ended sequences left for reuse counts as used
  std::uint64_t prompt_tokens = 0;                     // of started requests
  std::uint64_t reused_tokens = 0;                     // of these, found in a cache
  std::uint64_t computed_tokens = 0;                   // rows that went through the model
  std::uint64_t generated_tokens = 0;
  std::uint64_t steps = 0;
  double step_seconds = 0;                             // spent in steps, all together
  double wait_seconds = 0;                             // of these, in all-reduces
  std::vector<std::uint64_t> batch_sizes;              // [n]: steps that served n sequences
  std::uint64_t finished = 0, cancelled = 0, failed = 0;  // requests that ended, context_full among the finished
  std::string failure;                                 // why the engine takes no more requests; empty while it does
};

/// All members but the destructor may be called from any thread, from a Decoder too. Requests start in the order in which
/// they came. When a rank of the cluster fails, every request ends (Ending::failed) and no other is taken.
class Engine {
 public:
  /// Steps `model`, which must outlive this and is not to be used by others meanwhile. It runs as many sequences as
  /// the model's plan has caches for.
  Engine(ShardedLlama& model, const EngineOptions& options);
  /// Ends what runs and waits (Ending::cancelled).
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Kind::overloaded when the queue is full; Kind::usage when the prompt is empty, does not fit the context or has an
  /// id outside the vocabulary; Kind::unreachable after the cluster failed.
  SequenceId submit(Request request);
  /// Takes effect within one step; the decoder's ended() is called. Nothing happens when the sequence is over.
  void cancel(SequenceId id);

  using Embedded = std::function<void(std::span<const float> values, const core::Error* why)>;
  /// The mean of the final normed hidden states over the tokens, of length one. `done` runs on the engine's thread,
  /// once; `why` is null or says why there are no values. Refuses like submit() and waits in the same queue.
  SequenceId embed(std::vector<core::TokenId> tokens, Embedded done);

  EngineStatus status() const;
  const Plan& plan() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace starling::partition
