// From a request to sequences of the engine, whose events become one answer.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tools/serve/answer.h"
#include "tools/serve/ids.h"
#include "tools/serve/metrics.h"
#include "tools/serve/openai_request.h"
#include "tools/serve/served_model.h"

namespace starling::tools {

/// The ids of `prompt`. ApiError naming `param` for ids that the model does not have and for nothing at all.
std::vector<core::TokenId> encode_prompt(const core::Tokenizer& tokenizer, std::int64_t vocabulary, const Prompt& prompt, const std::string& param);

/// What a session of choice number `choice` does. A request without a seed gets one from `seed`.
SessionSettings session_settings(const ServedModel& model, const GenerationRequest& request, std::size_t prompt_tokens,
                                 std::uint64_t seed, int choice);

/// The grammar that an answer must follow: `forced` (of calls of tools) or that of the format; null for plain text.
/// ApiError naming the field when it is none.
std::shared_ptr<const core::Grammar> answer_grammar(const OutputFormat& format, const std::string& forced);

/// ApiError context_length_exceeded naming `param` unless there is room to write behind `tokens`.
void check_room(const ServedModel& model, std::size_t tokens, const std::string& param);

struct GenerationJob {
  std::vector<std::vector<core::TokenId>> prompts;
  std::vector<SessionSettings> settings;  // one per choice; choice i writes behind prompt i / (choices per prompt)
  Answer::Options answer;
};

/// The answers under way. Lives on the server's thread.
class Generations {
 public:
  /// Submits every choice, or none: an error of the engine, such as a full queue, leaves nothing behind. Cancels them
  /// all when the client goes away or one of them fails.
  void start(ServedModel& model, Metrics& metrics, GenerationJob job, const std::shared_ptr<Exchange>& exchange);
  /// Ends the answer with this id within a token, with what is written so far; false when there is none under way.
  bool cancel(const std::string& id);

 private:
  struct Job;
  std::map<std::string, std::weak_ptr<Job>> jobs_;
};

}  // namespace starling::tools
