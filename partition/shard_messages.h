// The messages of the "shard" service (shard.capnp) as plain structs. Decoding is bounded and throws
// Kind::malformed naming `peer` and the field.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/group.h"
#include "core/models/llama_parts.h"

namespace starling::partition {

/// The place of `part` in core::block_parts(), the order in which a slice is sent.
std::uint16_t index_of(const core::BlockPart& part);

struct ShardJob {
  core::LlamaConfig config;  // vocabulary, context and tied stay zero: a worker need not know them
  core::LlamaSlice slice;
  core::Sum sum = core::Sum::exact;
  core::Type kv_type = core::Type::f32;
  std::int64_t positions = 0;
  std::int64_t sequences = 1;
  std::int64_t rows_max = 0;
  std::string allreduce;
  std::uint64_t weight_bytes = 0;
};

struct TensorHeader {
  std::uint32_t layer = 0;
  std::uint16_t part = 0;  // index into core::block_parts()
  std::uint32_t copy = 0;  // which expert's
  core::Type type = core::Type::f32;
  core::Shape shape;
};

struct Ready {
  std::uint64_t weight_bytes = 0, kv_bytes = 0;
  double load_ms = 0;
};

struct ShardReport {
  std::uint64_t weight_bytes = 0, kv_bytes = 0, peak_rss_bytes = 0, bytes_sent = 0, bytes_received = 0;
  double compute_ms = 0, wait_ms = 0, load_ms = 0;
};

std::vector<std::byte> encode(const ShardJob& job);
std::vector<std::byte> encode(const TensorHeader& header);
std::vector<std::byte> encode(const Ready& ready);
std::vector<std::byte> encode(const ShardReport& report);

/// Also checks every value against the ranges that a job can have.
ShardJob decode_shard_job(core::Bytes bytes, std::string_view peer);
TensorHeader decode_tensor_header(core::Bytes bytes, std::string_view peer);
Ready decode_ready(core::Bytes bytes, std::string_view peer);
ShardReport decode_shard_report(core::Bytes bytes, std::string_view peer);

}  // namespace starling::partition
