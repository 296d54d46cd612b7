// /v1/embeddings: by an encoder where there is one; else every input is a sequence of the engine that is computed and
// read, not continued.
#include <cmath>

#include "tools/serve/api.h"

namespace starling::tools {
namespace {

/// Who makes the vectors.
struct Maker {
  std::string name;
  std::int64_t width = 0, context = 0, vocabulary = 0;
  const core::Tokenizer& tokenizer;
  std::function<std::uint64_t(std::vector<core::TokenId>, partition::Engine::Embedded)> submit;
  std::function<void(std::uint64_t)> cancel;
};

Maker maker_of(ServedEncoder& encoder) {
  return {.name = encoder.name(), .width = encoder.config().width, .context = encoder.config().context, .vocabulary = encoder.config().vocabulary,
          .tokenizer = encoder.tokenizer(),
          .submit = [&encoder](std::vector<core::TokenId> tokens, partition::Engine::Embedded done) { return encoder.submit(std::move(tokens), std::move(done)); },
          .cancel = [&encoder](std::uint64_t id) { encoder.cancel(id); }};
}

Maker maker_of(ServedModel& model) {
  return {.name = model.name(), .width = model.width(), .context = model.context(), .vocabulary = model.vocabulary(), .tokenizer = model.tokenizer(),
          .submit = [&engine = model.engine()](std::vector<core::TokenId> tokens, partition::Engine::Embedded done) { return engine.embed(std::move(tokens), std::move(done)); },
          .cancel = [&engine = model.engine()](std::uint64_t id) { engine.cancel(id); }};
}

/// The vectors of one request as they come; on the server's thread.
struct Embeddings {
  Maker maker;
  std::shared_ptr<Exchange> exchange;
  bool base64 = false;
  std::int64_t tokens = 0;
  std::vector<std::vector<float>> vectors;
  std::vector<std::uint64_t> ids;
  std::size_t missing = 0;
  bool over = false;

  void cancel() {
    over = true;
    for (const std::uint64_t id : ids) maker.cancel(id);
  }
  void take(std::size_t index, std::vector<float> vector) {
    if (over) return;
    vectors[index] = std::move(vector);
    if (--missing > 0) return;
    over = true;
    HttpReply reply;
    reply.body = dump(embedding_reply(maker.name, vectors, base64, tokens));
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
  const bool writer = served().model && (request.model == served_.model->name() || !served_.encoder);
  if (!request.model.empty() && !(writer && request.model == served_.model->name()) && !(served_.encoder && request.model == served_.encoder->name())) throw no_model(request.model);
  auto job = std::make_shared<Embeddings>(Embeddings{writer ? maker_of(*served_.model) : maker_of(*served_.encoder), exchange, request.base64, 0, {}, {}, 0, false});
  const Maker& maker = job->maker;
  const std::int64_t dimensions = request.dimensions.value_or(maker.width);
  if (dimensions > maker.width) throw invalid("dimensions", fmt::format("dimensions: {}, but the model's vectors have {}", dimensions, maker.width));
  job->missing = request.inputs.size();
  job->vectors.resize(request.inputs.size());
  std::vector<std::vector<core::TokenId>> inputs;
  for (const Prompt& input : request.inputs) {
    inputs.push_back(encode_prompt(maker.tokenizer, maker.vocabulary, input, "input"));
    const auto tokens = static_cast<std::int64_t>(inputs.back().size());
    if (tokens > maker.context) throw invalid("input", fmt::format("input: {} tokens do not fit the context of {}", tokens, maker.context), "context_length_exceeded");
    job->tokens += tokens;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    auto done = [job, exchange, i, dimensions](std::span<const float> values, const core::Error* why) {
      if (why) exchange->run([job, error = as_api_error(*why)] { job->fail(error); });
      else exchange->run([job, i, vector = shortened(values, static_cast<std::size_t>(dimensions))]() mutable { job->take(i, std::move(vector)); });
    };
    try {
      job->ids.push_back(maker.submit(std::move(inputs[i]), std::move(done)));
    } catch (const core::Error&) {
      job->cancel();
      throw;
    }
  }
  served_.metrics->prompt_tokens(job->tokens, 0);
  exchange->on_gone([job] { job->cancel(); });
}

}  // namespace starling::tools
