// /v1/embeddings: every input is a sequence of the engine that is computed and read, not continued.
#include <cmath>

#include "tools/serve/api.h"
#include "tools/serve/generation.h"

namespace starling::tools {
namespace {

/// The vectors of one request as they come; on the server's thread.
struct Embeddings {
  partition::Engine& engine;
  std::shared_ptr<Exchange> exchange;
  std::string model;
  bool base64 = false;
  std::int64_t tokens = 0;
  std::vector<std::vector<float>> vectors;
  std::vector<partition::SequenceId> ids;
  std::size_t missing = 0;
  bool over = false;

  void cancel() {
    over = true;
    for (const partition::SequenceId id : ids) engine.cancel(id);
  }
  void take(std::size_t index, std::vector<float> vector) {
    if (over) return;
    vectors[index] = std::move(vector);
    if (--missing > 0) return;
    over = true;
    HttpReply reply;
    reply.body = dump(embedding_reply(model, vectors, base64, tokens));
    exchange->reply(std::move(reply));
  }
  void fail(const ApiError& error) {
    if (over) return;
    exchange->reply(error_reply(error));
    cancel();
  }
};

/// The first `dimensions` values, of length one again.
std::vector<float> shortened(std::span<const float> values, std::size_t dimensions) {
  std::vector<float> vector(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(dimensions));
  if (dimensions == values.size()) return vector;
  double square = 0;
  for (const float v : vector) square += static_cast<double>(v) * v;
  if (square > 0)
    for (float& v : vector) v = static_cast<float>(v / std::sqrt(square));
  return vector;
}

}  // namespace

void Api::embed(const EmbeddingRequest& request, const std::shared_ptr<Exchange>& exchange) {
  check_model(request.model);
  const std::int64_t dimensions = request.dimensions.value_or(model().width());
  if (dimensions > model().width())
    throw invalid("dimensions", fmt::format("dimensions: {}, but the model's vectors have {}", dimensions, model().width()));
  auto job = std::make_shared<Embeddings>(Embeddings{model().engine(), exchange, model().name(), request.base64, 0, {}, {}, 0, false});
  job->missing = request.inputs.size();
  job->vectors.resize(request.inputs.size());
  std::vector<std::vector<core::TokenId>> inputs;
  for (const Prompt& input : request.inputs) {
    inputs.push_back(encode_prompt(model(), input, "input"));
    job->tokens += static_cast<std::int64_t>(inputs.back().size());
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    auto done = [job, exchange, i, dimensions](std::span<const float> values, const core::Error* why) {
      if (why) exchange->run([job, error = as_api_error(*why)] { job->fail(error); });
      else exchange->run([job, i, vector = shortened(values, static_cast<std::size_t>(dimensions))]() mutable { job->take(i, std::move(vector)); });
    };
    try {
      job->ids.push_back(model().engine().embed(std::move(inputs[i]), std::move(done)));
    } catch (const core::Error&) {
      job->cancel();
      throw;
    }
  }
  metrics_->prompt_tokens(job->tokens, 0);
  exchange->on_gone([job] { job->cancel(); });
}

}  // namespace starling::tools
