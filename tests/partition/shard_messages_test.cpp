// What a worker accepts as a job: hostile values are refused by field name before anything is allocated.
#include "partition/shard_messages.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "partition/shard_step.h"
#include "tests/golden_files.h"

using namespace starling;
using partition::ShardJob;

namespace {

ShardJob valid_job() {
  ShardJob job;
  job.config.width = 64;
  job.config.layers = 2;
  job.config.heads = 8;
  job.config.kv_heads = 4;
  job.config.head_size = 8;
  job.config.ffn = 172;
  job.slice = {1, 3, 32, 96};
  job.positions = 128;
  job.sequences = 4;
  job.rows_max = 64;
  job.allreduce = "star";
  job.weight_bytes = 12345;
  return job;
}

/// A job of a model that varies all that a family can.
ShardJob varied_job() {
  ShardJob job = valid_job();
  core::LlamaConfig& c = job.config;
  c.rope_divisors = {1, 2.5, 3};
  c.rope_magnitude = 1.25;
  c.rotated = 6;
  c.pairing = core::Pairing::halves;
  c.windows = {0, 16};
  c.window_rope_base = 20000;
  c.attention_scale = 0.25f, c.attention_cap = 50;
  c.gelu = c.qk_norm = c.post_norms = c.qkv_bias = c.output_bias = true;
  c.experts = 6, c.experts_used = 2, c.experts_normalised = true, c.shared_ffn = 96;
  return job;
}

std::uint16_t part(std::string_view name) {
  for (const core::BlockPart& p : core::block_parts())
    if (p.name == name) return partition::index_of(p);
  FAIL("no such part");
  return 0;
}

std::string refusal(const ShardJob& job) {
  try {
    partition::decode_shard_job(partition::encode(job), "node-1");
  } catch (const core::Error& error) {
    CHECK(error.kind() == core::Kind::malformed);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a job survives the wire") {
  ShardJob job = valid_job();
  job.config.rope_divisors.assign(4, 2.5f);
  job.sum = core::Sum::fast;
  const ShardJob back = partition::decode_shard_job(partition::encode(job), "node-1");
  CHECK(back.config == job.config);
  CHECK(back.slice == job.slice);
  CHECK(back.sum == core::Sum::fast);
  CHECK(back.positions == 128);
  CHECK(back.sequences == 4);
  CHECK(back.allreduce == "star");
  CHECK(back.weight_bytes == 12345);
  CHECK(partition::decode_shard_job(partition::encode(varied_job()), "node-1").config == varied_job().config);
}

TEST_CASE("every impossible value of a job is refused by name") {
  const auto broken = [](auto change) {
    ShardJob job = valid_job();
    change(job);
    return refusal(job);
  };
  CHECK(broken([](ShardJob&) {}) == "");
  CHECK(broken([](ShardJob& j) { j.config.layers = 0; }).find("layers") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.kv_heads = 3; }).find("kv_heads") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.head_size = 7; }).find("head_size") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.width = 0xffffffff; }).find("width") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.rope_divisors.assign(9, 1.0); }).find("divisors") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.rope_magnitude = -1; }).find("rope_magnitude") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.rotated = 10; }).find("rotated") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.windows.assign(3, 1); }).find("windows") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.windows.assign(1, 1); }).find("windows") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.attention_cap = -1; }).find("attention_cap") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.experts = 2; }).find("experts_used") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.experts = 1 << 20; }).find("experts") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.config.shared_ffn = 32; }).find("shared_ffn") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.slice.kv_end = 5; }).find("kv heads") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.slice.kv_begin = 4; }).find("kv heads") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.slice.ffn_end = 173; }).find("feed-forward") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.slice.ffn_begin = 33; }).find("units") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.positions = 0; }).find("positions") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.rows_max = 1 << 20; }).find("rowsMax") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.sequences = 0; }).find("sequences") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.sequences = 1025; }).find("sequences: 1025 is not in 1..1024") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.kv_type = static_cast<core::Type>(77); }).find("kvType") != std::string::npos);
}

TEST_CASE("a job cut short at any byte is an error, not a crash") {
  const auto bytes = partition::encode(valid_job());
  for (std::size_t n = 0; n < bytes.size(); ++n)
    CHECK_THROWS_AS(partition::decode_shard_job(core::Bytes(bytes).first(n), "node-1"), core::Error);
}

TEST_CASE("tensor announcements keep their shape") {
  const partition::TensorHeader header{3, part("down"), 0, core::Type::q8_0, {64, 96}};
  const auto back = partition::decode_tensor_header(partition::encode(header), "master");
  CHECK(back.layer == 3);
  CHECK(back.part == part("down"));
  CHECK(back.type == core::Type::q8_0);
  CHECK(back.shape == core::Shape{64, 96});
  const partition::TensorHeader norm{0, part("ffn_norm"), 0, core::Type::f32, {64}};
  CHECK(partition::decode_tensor_header(partition::encode(norm), "master").shape == core::Shape{64});
}

TEST_CASE("shard messages have the bytes they had when the wire format was fixed") {
  using tests::as_string;
  using tests::tagged;
  tests::GoldenFiles files;
  ShardJob job = valid_job();
  files["job"] = tagged(0, as_string(partition::encode(job)));
  job.config.rope_divisors.assign(4, 2.5f);
  job.sum = core::Sum::fast;
  files["job_varied"] = tagged(0, as_string(partition::encode(varied_job())));
  files["job_scaled_rope"] = tagged(0, as_string(partition::encode(job)));
  job.slice.ffn_begin = 33;
  files["job_uncut_unit"] = tagged(0, as_string(partition::encode(job)));
  job.kv_type = static_cast<core::Type>(77);
  files["job_unknown_type"] = tagged(0, as_string(partition::encode(job)));
  for (const core::BlockPart& p : core::block_parts()) {
    const std::uint16_t index = partition::index_of(p);
    const partition::TensorHeader header{index, index, p.of_experts ? 5u : 0u, p.is_vector() ? core::Type::f32 : core::Type::q8_0,
                                         p.is_vector() ? core::Shape{64} : core::Shape{96, 64}};
    files["tensor_" + std::string(p.name)] = tagged(1, as_string(partition::encode(header)));
  }
  files["ready"] = tagged(2, as_string(partition::encode(partition::Ready{1 << 20, 1 << 10, 12.5})));
  files["report"] = tagged(3, as_string(partition::encode(partition::ShardReport{1, 2, 3, 4, 5, 6.5, 7.5, 8.5})));
  partition::StepBuffer step({4, 128, 8, 2});
  const partition::StepSegment segments[] = {{2, 2, 17, 1}, {0, 3, 32, 3}};
  step.set(segments);
  for (std::size_t i = 0; i < 8; ++i) step.hidden()[i] = 0.5f * static_cast<float>(i);
  files["step"] = tagged(4, as_string(step.bytes()));
  const partition::StepSegment strange[] = {{2, 2, 17, 1}, {2, 3, 126, 3}};  // one slot twice, and beyond its end
  step.set(strange);
  files["step_strange"] = tagged(4, as_string(step.bytes()));
  CHECK(tests::differences("shard_messages", files) == "");
}
