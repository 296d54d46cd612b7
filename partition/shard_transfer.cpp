#include "partition/shard_transfer.h"

#include <algorithm>

namespace starling::partition {

using core::check;
using core::Kind;

core::Shape expected_shape(const core::LlamaConfig& config, const core::LlamaSlice& slice, Role role) {
  const std::int64_t kv = slice.kv_end - slice.kv_begin;
  const std::int64_t kv_rows = kv * config.head_size;
  const std::int64_t query_rows = kv * core::units(config).attention_columns;
  const std::int64_t ffn = slice.ffn_end - slice.ffn_begin;
  switch (role) {
    case Role::attention_norm:
    case Role::ffn_norm: return {config.width};
    case Role::query: return {query_rows, config.width};
    case Role::key:
    case Role::value: return {kv_rows, config.width};
    case Role::attention_output: return {config.width, query_rows};
    case Role::gate:
    case Role::up: return {ffn, config.width};
    case Role::down: return {config.width, ffn};
  }
  core::fail(Kind::internal, "no such tensor role: {}", static_cast<unsigned>(role));
}

void send_slice(comm::Transport& transport, core::Rank to, const core::LlamaModel& model,
                const core::LlamaSlice& slice) {
  for (std::size_t layer = 0; layer < model.blocks.size(); ++layer) {
    const core::LlamaBlock block = core::cut(model.blocks[layer], model.config, slice);
    for (std::uint16_t r = 0; r < kRoles; ++r) {
      const auto role = static_cast<Role>(r);
      const core::Tensor& tensor = member(block, role);
      const TensorHeader header{static_cast<std::uint32_t>(layer), role, tensor.type(), tensor.shape()};
      transport.send(to, comm::Kind::slice, encode(header), comm::kNoDeadline);
      core::Bytes rest = tensor.bytes();
      while (!rest.empty()) {
        const std::size_t n = std::min(rest.size(), kChunkBytes);
        transport.send(to, comm::Kind::data, rest.first(n), comm::kNoDeadline);
        rest = rest.subspan(n);
      }
    }
  }
}

namespace {

TensorHeader receive_header(comm::Transport& transport) {
  const comm::Incoming incoming = transport.next(0, comm::kNoDeadline);
  check(incoming.kind == comm::Kind::slice, Kind::malformed, "{}: sent a {} frame where a tensor was expected",
        transport.name(0), comm::to_string(incoming.kind));
  check(incoming.length <= 4096, Kind::malformed, "{}: tensor announcement of {} bytes", transport.name(0),
        incoming.length);
  std::vector<std::byte> bytes(incoming.length);
  transport.read(0, bytes, comm::kNoDeadline);
  return decode_tensor_header(bytes, transport.name(0));
}

std::string describe(const core::Shape& shape) {
  return shape.size() == 2 ? fmt::format("{}x{}", shape[0], shape[1]) : fmt::format("{}", shape[0]);
}

core::Tensor receive_tensor(comm::Transport& transport, const TensorHeader& header) {
  core::Tensor tensor = core::Tensor::owned(header.type, header.shape);
  std::span<std::byte> rest = tensor.mutable_bytes();
  while (!rest.empty()) {
    const std::size_t n = std::min(rest.size(), kChunkBytes);
    comm::receive(transport, 0, comm::Kind::data, rest.first(n), comm::kNoDeadline);
    rest = rest.subspan(n);
  }
  return tensor;
}

}  // namespace

std::vector<core::LlamaBlock> receive_slice(comm::Transport& transport, const ShardJob& job,
                                            std::uint64_t bytes_max) {
  std::vector<core::LlamaBlock> blocks;
  std::uint64_t bytes = 0;
  for (std::int64_t layer = 0; layer < job.config.layers; ++layer) {
    core::LlamaBlock block;
    for (std::uint16_t r = 0; r < kRoles; ++r) {
      const auto role = static_cast<Role>(r);
      const TensorHeader header = receive_header(transport);
      const core::Shape shape = expected_shape(job.config, job.slice, role);
      check(header.layer == layer && header.role == role && header.shape == shape, Kind::malformed,
            "{}: sent layer {} {} {}, the plan says layer {} {} {}", transport.name(0), header.layer,
            to_string(header.role), describe(header.shape), layer, to_string(role), describe(shape));
      bytes += core::byte_size(header.type, header.shape);
      check(bytes_max == 0 || bytes <= bytes_max, Kind::refused,
            "the slice exceeds this node's budget of {} bytes at layer {} {}", bytes_max, layer, to_string(role));
      member(block, role) = receive_tensor(transport, header);
    }
    blocks.push_back(std::move(block));
  }
  return blocks;
}

}  // namespace starling::partition
