#include "partition/shard_transfer.h"

#include <algorithm>

namespace starling::partition {

using core::check;
using core::Kind;

void send_slice(comm::Transport& transport, core::Rank to, const core::LlamaModel& model,
                const core::LlamaSlice& slice) {
  for (std::size_t layer = 0; layer < model.blocks.size(); ++layer) {
    const core::LlamaBlock block = core::cut(model.blocks[layer], model.config, slice);
    core::each_part(model.config, [&](const core::BlockPart& part, std::int64_t copy) {
      const core::Tensor& tensor = core::member(block, part, copy);
      const TensorHeader header{static_cast<std::uint32_t>(layer), index_of(part), static_cast<std::uint32_t>(copy), tensor.type(), tensor.shape()};
      transport.send(to, comm::Kind::slice, encode(header), comm::kNoDeadline);
      core::Bytes rest = tensor.bytes();
      while (!rest.empty()) {
        const std::size_t n = std::min(rest.size(), kChunkBytes);
        transport.send(to, comm::Kind::data, rest.first(n), comm::kNoDeadline);
        rest = rest.subspan(n);
      }
    });
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
    block.experts.resize(static_cast<std::size_t>(job.config.experts));
    core::each_part(job.config, [&](const core::BlockPart& part, std::int64_t copy) {
      const TensorHeader header = receive_header(transport);
      const core::Shape shape = core::slice_shape(part, job.config, job.slice, header.type);
      check(header.layer == layer && header.part == index_of(part) && header.copy == copy && header.shape == shape, Kind::malformed,
            "{}: sent layer {} {} {} {}, the plan says layer {} {} {} {}", transport.name(0), header.layer, core::block_parts()[header.part].name,
            header.copy, describe(header.shape), layer, part.name, copy, describe(shape));
      check(part.kind == core::BlockPart::Kind::matrix || header.type == core::Type::f32, Kind::malformed, "{}: sent layer {} {} as {}, expected f32",
            transport.name(0), layer, part.name, core::info(header.type).name);
      check(core::slice_type(part, job.config, header.type) == header.type, Kind::malformed, "{}: sent layer {} {} as {}, whose blocks its units cut",
            transport.name(0), layer, part.name, core::info(header.type).name);
      bytes += core::byte_size(header.type, header.shape);
      check(bytes_max == 0 || bytes <= bytes_max, Kind::refused,
            "the slice exceeds this node's budget of {} bytes at layer {} {}", bytes_max, layer, part.name);
      core::member(block, part, copy) = receive_tensor(transport, header);
    });
    blocks.push_back(std::move(block));
  }
  return blocks;
}

}  // namespace starling::partition
