// An encoder that answers: texts wait in a bounded queue for one thread, which turns those that wait into vectors, several
// together.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/models/bert.h"
#include "core/text/tokenizer.h"

namespace starling::tools {

struct EncoderOptions {
  std::string name;
  int threads = 1;
  std::int64_t queue = 256;  // texts that wait, at most
};

struct EncoderStatus {
  std::int64_t running = 0, waiting = 0;  // texts
  std::uint64_t texts = 0, tokens = 0;    // computed
  double seconds = 0;                     // spent on them
};

/// All members but the destructor may be called from any thread.
class ServedEncoder {
 public:
  using TextId = std::uint64_t;
  /// `vector` has length one; `why` is null or says why there is none. Called once, on the encoder's thread.
  using Done = std::function<void(std::span<const float> vector, const core::Error* why)>;

  ServedEncoder(core::BertModel model, const EncoderOptions& options);
  /// Refuses what waits.
  ~ServedEncoder();
  ServedEncoder(const ServedEncoder&) = delete;
  ServedEncoder& operator=(const ServedEncoder&) = delete;

  const std::string& name() const;
  /// Seconds since 1970 when the model was loaded.
  std::int64_t created() const;
  const core::BertConfig& config() const;
  const core::Tokenizer& tokenizer() const;
  std::uint64_t weight_bytes() const;
  int threads() const;

  /// Kind::overloaded when the queue is full; Kind::usage for tokens that core::check_text refuses.
  TextId submit(std::vector<core::TokenId> tokens, Done done);
  /// A text that waits is forgotten, without a call of its `done`; one that is being computed is computed.
  void cancel(TextId id);

  EncoderStatus status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace starling::tools
