// What a worker accepts as a job: hostile values are refused by field name before anything is allocated.
#include "partition/shard_messages.h"

#include <doctest/doctest.h>

#include "core/error.h"

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
  job.rows_max = 64;
  job.allreduce = "star";
  job.weight_bytes = 12345;
  return job;
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
  CHECK(back.allreduce == "star");
  CHECK(back.weight_bytes == 12345);
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
  CHECK(broken([](ShardJob& j) { j.slice.kv_end = 5; }).find("kv heads") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.slice.kv_begin = 4; }).find("kv heads") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.slice.ffn_end = 173; }).find("feed-forward") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.slice.ffn_begin = 33; }).find("units") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.positions = 0; }).find("positions") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.rows_max = 1 << 20; }).find("rowsMax") != std::string::npos);
  CHECK(broken([](ShardJob& j) { j.kv_type = static_cast<core::Type>(77); }).find("kvType") != std::string::npos);
}

TEST_CASE("a job cut short at any byte is an error, not a crash") {
  const auto bytes = partition::encode(valid_job());
  for (std::size_t n = 0; n < bytes.size(); ++n)
    CHECK_THROWS_AS(partition::decode_shard_job(core::Bytes(bytes).first(n), "node-1"), core::Error);
}

TEST_CASE("tensor announcements keep their shape") {
  const partition::TensorHeader header{3, partition::Role::down, core::Type::q8_0, {64, 96}};
  const auto back = partition::decode_tensor_header(partition::encode(header), "master");
  CHECK(back.layer == 3);
  CHECK(back.role == partition::Role::down);
  CHECK(back.type == core::Type::q8_0);
  CHECK(back.shape == core::Shape{64, 96});
  const partition::TensorHeader norm{0, partition::Role::ffn_norm, core::Type::f32, {64}};
  CHECK(partition::decode_tensor_header(partition::encode(norm), "master").shape == core::Shape{64});
}
