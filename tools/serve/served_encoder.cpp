#include "tools/serve/served_encoder.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "core/clock.h"
#include "core/models/pack.h"
#include "core/pool.h"
#include "tools/serve/served_model.h"

namespace starling::tools {

using core::check;
using core::Error;
using core::Kind;

struct ServedEncoder::State {
  struct Text {
    TextId id;
    std::vector<core::TokenId> tokens;
    Done done;
  };

  State(core::BertModel m, const EncoderOptions& o)
      : model(std::move(m)), options(o), tokenizer(core::make_tokenizer(model.vocabulary)), pool(o.threads), created(seconds_since_1970()) {
    core::pack(model, pool);
  }

  void run();
  std::vector<Text> take();
  void compute(const std::vector<Text>& texts);

  core::BertModel model;
  const EncoderOptions options;
  const std::unique_ptr<core::Tokenizer> tokenizer;
  core::Pool pool;  // the thread's
  const std::int64_t created;

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<Text> waiting;  // under mutex, as all that follow
  EncoderStatus status;
  TextId last_id = 0;
  bool stop = false;

  std::thread thread;
};

void ServedEncoder::State::run() {
  std::unique_lock lock(mutex);
  while (true) {
    wake.wait(lock, [&] { return stop || !waiting.empty(); });
    if (stop) break;
    const std::vector<Text> texts = take();
    status.running = static_cast<std::int64_t>(texts.size());
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    compute(texts);
    const double seconds = core::seconds_since(begin);
    lock.lock();
    status.running = 0;
    status.texts += texts.size();
    for (const Text& text : texts) status.tokens += text.tokens.size();
    status.seconds += seconds;
  }
  const std::deque<Text> left = std::exchange(waiting, {});
  lock.unlock();
  const Error why(Kind::refused, "the encoder stops");
  for (const Text& text : left) text.done({}, &why);
}

/// The texts that have waited longest, so many that products are as fast as they get; more would only wait for each other.
std::vector<ServedEncoder::State::Text> ServedEncoder::State::take() {
  constexpr std::size_t kTokens = 512;
  std::vector<Text> texts;
  for (std::size_t tokens = 0; !waiting.empty() && (texts.empty() || tokens + waiting.front().tokens.size() <= kTokens); waiting.pop_front()) {
    tokens += waiting.front().tokens.size();
    texts.push_back(std::move(waiting.front()));
  }
  return texts;
}

void ServedEncoder::State::compute(const std::vector<Text>& texts) {
  std::vector<std::span<const core::TokenId>> tokens;
  for (const Text& text : texts) tokens.emplace_back(text.tokens);
  std::vector<std::vector<float>> vectors;
  try {
    vectors = core::embeddings(model, tokens, pool);
  } catch (const std::exception& error) {
    const Error why(Kind::internal, error.what());
    for (const Text& text : texts) text.done({}, &why);
    return;
  }
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i].done(vectors[i], nullptr);
}

ServedEncoder::ServedEncoder(core::BertModel model, const EncoderOptions& options) : state_(std::make_unique<State>(std::move(model), options)) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

ServedEncoder::~ServedEncoder() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
    state_->wake.notify_one();
  }
  state_->thread.join();
}

const std::string& ServedEncoder::name() const { return state_->options.name; }
std::int64_t ServedEncoder::created() const { return state_->created; }
const core::BertConfig& ServedEncoder::config() const { return state_->model.config; }
const core::Tokenizer& ServedEncoder::tokenizer() const { return *state_->tokenizer; }
int ServedEncoder::threads() const { return state_->options.threads; }

std::uint64_t ServedEncoder::weight_bytes() const {
  const core::BertModel& m = state_->model;
  std::uint64_t bytes = 0;
  const auto add = [&](const core::Tensor& tensor) { bytes += tensor.bytes().size(); };
  for (const core::Tensor* tensor : {&m.tokens, &m.positions, &m.types, &m.embedding_norm.weight, &m.embedding_norm.bias}) add(*tensor);
  for (const core::BertBlock& b : m.blocks)
    for (const core::Affine* a : {&b.query, &b.key, &b.value, &b.output, &b.attention_norm, &b.up, &b.down, &b.ffn_norm}) add(a->weight), add(a->bias);
  return bytes;
}

ServedEncoder::TextId ServedEncoder::submit(std::vector<core::TokenId> tokens, Done done) {
  core::ensure(done != nullptr, "a vector for nobody");
  core::check_text(state_->model.config, tokens);
  const std::lock_guard lock(state_->mutex);
  const auto waiting = static_cast<std::int64_t>(state_->waiting.size());
  check(waiting < state_->options.queue, Kind::overloaded, "{} texts are waiting already", waiting);
  state_->waiting.push_back({++state_->last_id, std::move(tokens), std::move(done)});
  state_->wake.notify_one();
  return state_->last_id;
}

void ServedEncoder::cancel(TextId id) {
  const std::lock_guard lock(state_->mutex);
  std::erase_if(state_->waiting, [&](const State::Text& text) { return text.id == id; });
}

EncoderStatus ServedEncoder::status() const {
  const std::lock_guard lock(state_->mutex);
  EncoderStatus status = state_->status;
  status.waiting = static_cast<std::int64_t>(state_->waiting.size());
  return status;
}

}  // namespace starling::tools
