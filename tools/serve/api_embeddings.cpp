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
  Embeddings(Maker m, std::shared_ptr<Exchange> e) : maker(std::move(m)), exchange(std::move(e)) {}

  Maker maker;
  std::shared_ptr<Exchange> exchange;
  bool base64 = false;
  std::size_t dimensions = 0;
  std::int64_t tokens = 0;
  std::vector<std::vector<core::TokenId>> inputs;
  std::vector<std::vector<float>> vectors;
  std::vector<std::uint64_t> ids;  // of inputs that have been submitted: the first ones
  std::size_t made = 0;
  bool over = false;

  std::size_t under_way() const { return ids.size() - made; }
  void cancel() {
    over = true;
    for (const std::uint64_t id : ids) maker.cancel(id);
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

void take(const std::shared_ptr<Embeddings>& job, std::size_t index, std::vector<float> vector);

/// Submits inputs up to a number under way: enough that an encoder finds its next batch when it has made one, and few enough to
/// leave the queue to others as well. Throws when the
/// queue is full while none is under way: otherwise the next that is made asks again.
void feed(const std::shared_ptr<Embeddings>& job) {
  constexpr std::size_t kUnderWay = 128;
  while (job->ids.size() < job->inputs.size() && job->under_way() < kUnderWay) {
    auto done = [job, index = job->ids.size()](std::span<const float> values, const core::Error* why) {
      if (why) job->exchange->run([job, error = as_api_error(*why)] { job->fail(error); });
      else job->exchange->run([job, index, vector = shortened(values, job->dimensions)]() mutable { take(job, index, std::move(vector)); });
    };
    try {
      job->ids.push_back(job->maker.submit(job->inputs[job->ids.size()], std::move(done)));
    } catch (const core::Error& error) {
      if (error.kind() != core::Kind::overloaded || job->under_way() == 0) throw;
      return;
    }
  }
}

void take(const std::shared_ptr<Embeddings>& job, std::size_t index, std::vector<float> vector) {
  if (job->over) return;
  job->vectors[index] = std::move(vector);
  ++job->made;
  if (job->made < job->inputs.size()) {
    try {
      return feed(job);
    } catch (const core::Error& error) {
      return job->fail(as_api_error(error));
    }
  }
  job->over = true;
  HttpReply reply;
  reply.body = dump(embedding_reply(job->maker.name, job->vectors, job->base64, job->tokens));
  job->exchange->reply(std::move(reply));
}

}  // namespace

void Api::embed(const EmbeddingRequest& request, const std::shared_ptr<Exchange>& exchange) {
  const bool writer = served().model && (request.model == served_.model->name() || !served_.encoder);
  if (!request.model.empty() && !(writer && request.model == served_.model->name()) && !(served_.encoder && request.model == served_.encoder->name())) throw no_model(request.model);
  auto job = std::make_shared<Embeddings>(writer ? maker_of(*served_.model) : maker_of(*served_.encoder), exchange);
  job->base64 = request.base64;
  const Maker& maker = job->maker;
  const std::int64_t dimensions = request.dimensions.value_or(maker.width);
  if (dimensions > maker.width) throw invalid("dimensions", fmt::format("dimensions: {}, but the model's vectors have {}", dimensions, maker.width));
  job->dimensions = static_cast<std::size_t>(dimensions);
  for (const Prompt& input : request.inputs) {
    job->inputs.push_back(encode_prompt(maker.tokenizer, maker.vocabulary, input, "input"));
    const auto tokens = static_cast<std::int64_t>(job->inputs.back().size());
    if (tokens > maker.context) throw invalid("input", fmt::format("input: {} tokens do not fit the context of {}", tokens, maker.context), "context_length_exceeded");
    job->tokens += tokens;
  }
  job->vectors.resize(job->inputs.size());
  try {
    feed(job);
  } catch (const core::Error&) {
    job->cancel();
    throw;
  }
  served_.metrics->prompt_tokens(job->tokens, 0);
  exchange->on_gone([job] { job->cancel(); });
}

}  // namespace starling::tools
