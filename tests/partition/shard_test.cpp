// The central promise: any number of ranks, any shares, any algorithm and chunk size give the logits of the
// single process, bit for bit; and what workers get to see.
#include "partition/shard.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>

#include "comm/collective.h"
#include "comm/connect.h"
#include "comm/job.h"
#include "tests/partition/random_llama.h"

using namespace starling;
using core::TokenId;
using partition::ShardedLlama;

namespace {

core::LlamaConfig small_config() {
  core::LlamaConfig c;
  c.width = 64;
  c.layers = 3;
  c.heads = 8;
  c.kv_heads = 4;
  c.head_size = 16;
  c.ffn = 176;  // five whole units of 32 and a half one
  c.vocabulary = 50;
  c.context = 64;
  return c;
}

partition::ShardOptions options_for(const core::LlamaModel& model, const std::string& shares, int ranks) {
  partition::PlanOptions plan;
  plan.shares = partition::parse_shares(shares, ranks);
  for (int i = 0; i < ranks; ++i) plan.names.push_back("rank-" + std::to_string(i));
  plan.positions = 48;
  plan.kv_type = core::Type::f16;
  partition::ShardOptions options;
  options.plan = partition::make_plan(model, plan);
  options.rows_max = 7;
  return options;
}

std::vector<comm::Service> services() {
  return {{partition::kShardService, [](comm::Transport& transport, core::Bytes settings) {
             partition::serve_shard(transport, settings, {});
           }}};
}

/// All logits of a prompt and ten greedy steps.
std::vector<float> run(ShardedLlama& model) {
  std::vector<TokenId> tokens{3, 17, 42, 5, 5, 9, 31, 0, 12, 44, 2};
  std::vector<float> all;
  std::span<const TokenId> input = tokens;
  std::int64_t position = 0;
  for (int step = 0; step < 10; ++step) {
    const auto logits = model.forward(input, position);
    all.insert(all.end(), logits.begin(), logits.end());
    position += static_cast<std::int64_t>(input.size());
    tokens.assign(1, static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    input = tokens;
  }
  return all;
}

/// The same over `transports`, rank 0 on this thread.
std::vector<float> run_on(std::vector<std::unique_ptr<comm::Transport>>& transports, const core::LlamaModel& model,
                          const partition::ShardOptions& options) {
  std::vector<std::jthread> workers;
  for (std::size_t rank = 1; rank < transports.size(); ++rank)
    workers.emplace_back([&, rank] { comm::serve_session(*transports[rank], services()); });
  core::Pool pool(1);
  ShardedLlama sharded(model, options, transports[0].get(), pool);
  std::vector<float> result = run(sharded);
  sharded.finish();
  comm::end_session(*transports[0]);
  return result;
}

std::vector<float> run_single(const core::LlamaModel& model) {
  core::Pool pool(1);
  ShardedLlama single(model, options_for(model, "1", 1), nullptr, pool);
  return run(single);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Passes everything on and remembers what rank 0 sent.
class Recorder final : public comm::Transport {
 public:
  explicit Recorder(comm::Transport& inner) : inner_(inner) {}
  core::Rank rank() const override { return inner_.rank(); }
  core::Rank size() const override { return inner_.size(); }
  std::string name(core::Rank peer) const override { return inner_.name(peer); }
  void send(core::Rank to, comm::Kind kind, core::Bytes payload, comm::Deadline deadline) override {
    sent[to].emplace_back(kind, std::vector<std::byte>(payload.begin(), payload.end()));
    inner_.send(to, kind, payload, deadline);
  }
  comm::Incoming next(core::Rank from, comm::Deadline d) override { return inner_.next(from, d); }
  void read(core::Rank from, std::span<std::byte> into, comm::Deadline d) override { inner_.read(from, into, d); }
  core::Rank wait_any(std::span<const core::Rank> among, comm::Deadline d) override { return inner_.wait_any(among, d); }
  void send_heartbeats() override { inner_.send_heartbeats(); }
  comm::Counters counters(core::Rank peer) const override { return inner_.counters(peer); }

  std::map<core::Rank, std::vector<std::pair<comm::Kind, std::vector<std::byte>>>> sent;

 private:
  comm::Transport& inner_;
};

}  // namespace

TEST_CASE("models that vary what families vary give the bits of the single process, too, and travel slice by slice") {
  core::LlamaConfig biased = small_config(), windowed = small_config(), experts = small_config(), stretched = small_config();
  biased.qkv_bias = biased.output_bias = biased.ffn_bias = true;
  biased.pairing = core::Pairing::halves;
  windowed.windows = {5, 5, 0};
  windowed.window_rope_base = 500, windowed.rope_magnitude = 1.125, windowed.rope_divisors.assign(8, 2.5);
  windowed.attention_cap = 20, windowed.logit_cap = 15, windowed.attention_scale = 0.3f, windowed.embedding_scale = 8;
  windowed.gelu = windowed.qk_norm = windowed.post_norms = true;
  experts.experts = 5, experts.experts_used = 2, experts.shared_ffn = 112, experts.experts_normalised = true;
  // Beyond the original context of 16, which the plan's 48 positions are, another list divides.
  stretched.rotated = 12;
  stretched.rope_scaling = {.rule = core::RopeScaling::Rule::longrope, .original_context = 16};
  for (int p = 0; p < 6; ++p) stretched.rope_scaling.short_divisors.push_back(1 + 0.3 * p), stretched.rope_scaling.long_divisors.push_back(3 + p);
  core::scale_rope(stretched, 16, "test");
  for (const core::LlamaConfig& config : {biased, windowed, experts, stretched})
    for (const core::Type type : {core::Type::f32, core::Type::q8_0}) {
      const core::LlamaModel model = tests::random_llama(config, type, 11);
      const std::vector<float> expected = run_single(model);
      for (const char* shares : {"3:2:1", "1:0:1"}) {
        auto transports = comm::inproc_group(3);
        CHECK(same_bits(run_on(transports, model, options_for(model, shares, 3)), expected));
      }
    }
  const core::LlamaModel model = tests::random_llama(stretched, core::Type::f32, 11);
  core::LlamaModel twin = model;
  twin.config.rope_scaling = {};
  CHECK_FALSE(same_bits(run_single(model), run_single(twin)));
}

TEST_CASE("K-quants are cut inside their blocks of 256, and give the bits of the single process") {
  core::LlamaConfig dense = small_config();
  dense.width = 256, dense.heads = 8, dense.kv_heads = 4, dense.head_size = 96, dense.ffn = 1280;  // units of 192 and 128
  core::LlamaConfig experts = dense;
  experts.experts = 3, experts.experts_used = 2, experts.shared_ffn = 768;
  for (const core::LlamaConfig& config : {dense, experts})
    for (const core::Type type : {core::Type::q4_k, core::Type::q6_k, core::Type::q5_k}) {
      const core::LlamaModel model = tests::random_llama(config, type, 12);
      const std::vector<float> expected = run_single(model);
      for (const char* shares : {"3:2:1", "1:0:1"}) {
        CAPTURE(core::info(type).name);
        CAPTURE(shares);
        auto transports = comm::inproc_group(3);
        CHECK(same_bits(run_on(transports, model, options_for(model, shares, 3)), expected));
      }
    }
}

TEST_CASE("any ranks, shares and algorithm give the bits of the single process") {
  for (const core::Type type : {core::Type::f32, core::Type::q8_0}) {
    const core::LlamaModel model = tests::random_llama(small_config(), type, 7);
    const std::vector<float> expected = run_single(model);
    struct Case {
      int ranks;
      const char* shares;
    };
    for (const Case& c : {Case{2, "1:1"}, Case{3, "3:2:1"}, Case{4, "1:0:2:1"}, Case{5, "1:1:1:1:1"}, Case{8, "8:7:6:5:4:3:2:1"}})
      for (const comm::Collective& algorithm : comm::collectives()) {
        CAPTURE(c.shares);
        CAPTURE(std::string(algorithm.name));
        auto options = options_for(model, c.shares, c.ranks);
        options.allreduce = std::string(algorithm.name);
        auto transports = comm::inproc_group(c.ranks);
        CHECK(same_bits(run_on(transports, model, options), expected));
      }
  }
}

TEST_CASE("several jobs run one after the other over the same links") {
  const core::LlamaModel model = tests::random_llama(small_config(), core::Type::f32, 8);
  const std::vector<float> expected = run_single(model);
  auto transports = comm::inproc_group(3);
  std::vector<std::jthread> workers;
  for (std::size_t rank = 1; rank < transports.size(); ++rank)
    workers.emplace_back([&, rank] { comm::serve_session(*transports[rank], services()); });
  core::Pool pool(1);
  for (const char* shares : {"1:1:1", "2:0:1"}) {
    auto options = options_for(model, shares, 3);
    ShardedLlama sharded(model, options, transports[0].get(), pool);
    CHECK(same_bits(run(sharded), expected));
    const auto reports = sharded.finish();
    REQUIRE(reports.size() == 3);
    for (std::size_t i = 0; i < reports.size(); ++i) CHECK(reports[i].kv_bytes == options.plan.ranks[i].kv_bytes);
  }
  comm::end_session(*transports[0]);
}

TEST_CASE("workers receive exactly the planned slices of the blocks") {
  const core::LlamaModel model = tests::random_llama(small_config(), core::Type::f32, 9);
  auto transports = comm::inproc_group(3);
  auto recorder = std::make_unique<Recorder>(*transports[0]);
  const Recorder& seen = *recorder;
  std::vector<std::unique_ptr<comm::Transport>> wrapped;
  wrapped.push_back(std::move(recorder));
  for (std::size_t i = 1; i < transports.size(); ++i) wrapped.push_back(std::move(transports[i]));
  const auto options = options_for(model, "1:2:1", 3);
  run_on(wrapped, model, options);
  for (core::Rank rank = 1; rank < 3; ++rank) {
    std::vector<std::byte> data;
    for (const auto& [kind, bytes] : seen.sent.at(rank))
      if (kind == comm::Kind::data) data.insert(data.end(), bytes.begin(), bytes.end());
    std::vector<std::byte> planned;
    for (const core::LlamaBlock& block : model.blocks) {
      const core::LlamaBlock cut = core::cut(block, model.config, options.plan.ranks[static_cast<std::size_t>(rank)].slice);
      core::each_part(model.config, [&](const core::BlockPart& part, std::int64_t copy) {
        const core::Bytes bytes = core::member(cut, part, copy).bytes();
        planned.insert(planned.end(), bytes.begin(), bytes.end());
      });
    }
    CHECK(data == planned);
  }
}

TEST_CASE("permuting the vocabulary changes no byte that is sent to workers") {
  const core::LlamaModel model = tests::random_llama(small_config(), core::Type::f32, 10);
  core::LlamaModel permuted = model;
  const std::int64_t n = model.config.vocabulary;
  const auto renamed = [&](TokenId id) { return static_cast<TokenId>((id * 7 + 3) % n); };
  permuted.ends.embedding = core::Tensor::owned(core::Type::f32, {n, model.config.width});
  permuted.ends.output = core::Tensor::owned(core::Type::f32, {n, model.config.width});
  for (TokenId id = 0; id < n; ++id)
    for (auto [from, to] : {std::pair{&model.ends.embedding, &permuted.ends.embedding},
                            std::pair{&model.ends.output, &permuted.ends.output}}) {
      const core::Bytes row = from->row_bytes(id);
      std::memcpy(to->mutable_bytes().data() + static_cast<std::size_t>(renamed(id)) * row.size(), row.data(), row.size());
    }
  const auto record = [&](const core::LlamaModel& m, bool rename) {
    auto transports = comm::inproc_group(3);
    auto recorder = std::make_unique<Recorder>(*transports[0]);
    Recorder& seen = *recorder;
    std::vector<std::jthread> workers;
    for (std::size_t rank = 1; rank < 3; ++rank)
      workers.emplace_back([&, rank] { comm::serve_session(*transports[rank], services()); });
    core::Pool pool(1);
    auto options = options_for(m, "1:1:1", 3);
    options.allreduce = "star";
    ShardedLlama sharded(m, options, &seen, pool);
    std::vector<TokenId> tokens{3, 17, 42, 5};
    if (rename)
      for (TokenId& id : tokens) id = renamed(id);
    std::vector<float> logits;
    for (int step = 0; step < 5; ++step) {
      const auto out = sharded.forward(tokens, step == 0 ? 0 : 3 + step);
      logits.assign(out.begin(), out.end());
      tokens.assign(1, static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    }
    sharded.finish();
    comm::end_session(seen);
    return std::pair(seen.sent, tokens.front());
  };
  const auto [original_bytes, original_token] = record(model, false);
  const auto [permuted_bytes, permuted_token] = record(permuted, true);
  CHECK(permuted_token == renamed(original_token));
  CHECK(original_bytes == permuted_bytes);
}

TEST_CASE("a node whose budget is too small says so, and the master hears it") {
  const core::LlamaModel model = tests::random_llama(small_config(), core::Type::f32, 11);
  auto transports = comm::inproc_group(2);
  std::jthread worker([&] {
    const std::vector<comm::Service> tight{{partition::kShardService, [](comm::Transport& t, core::Bytes settings) {
                                              partition::serve_shard(t, settings, {1000, 1});
                                            }}};
    CHECK_THROWS_AS(comm::serve_session(*transports[1], tight), core::Error);
  });
  core::Pool pool(1);
  try {
    ShardedLlama sharded(model, options_for(model, "1:1", 2), transports[0].get(), pool);
    FAIL("accepted");
  } catch (const core::Error& error) {
    CHECK(error.kind() == core::Kind::refused);
    CHECK(std::string(error.what()).find("budget is 1000") != std::string::npos);
  }
}

TEST_CASE("a prompt that does not fit the cache is refused before anything is computed") {
  const core::LlamaModel model = tests::random_llama(small_config(), core::Type::f32, 12);
  core::Pool pool(1);
  ShardedLlama single(model, options_for(model, "1", 1), nullptr, pool);
  const std::vector<TokenId> tokens(49, 1);
  CHECK_THROWS_AS(single.forward(tokens, 0), core::Error);
  CHECK_THROWS_AS(single.forward(std::span(tokens).first(2), 47), core::Error);
  CHECK_NOTHROW(single.forward(std::span(tokens).first(1), 47));
}
