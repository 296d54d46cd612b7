#include "federated/value_frames.h"

#include <algorithm>

namespace starling::federated {
namespace {

constexpr std::uint64_t kChunkValues = std::uint64_t{1} << 20;

}  // namespace

void send_values(comm::Transport& transport, comm::Rank to, std::span<const float> values) {
  while (!values.empty()) {
    const auto chunk = values.first(std::min<std::size_t>(values.size(), kChunkValues));
    transport.send(to, comm::Kind::data, std::as_bytes(chunk), comm::kNoDeadline);
    values = values.subspan(chunk.size());
  }
}

std::vector<float> receive_values(comm::Transport& transport, comm::Rank from, std::uint64_t expected) {
  std::vector<float> values;
  // Grown as it comes: a number in a message alone makes no memory.
  while (values.size() < expected) {
    const std::size_t begin = values.size();
    values.resize(begin + std::min<std::uint64_t>(expected - begin, kChunkValues));
    comm::receive(transport, from, comm::Kind::data, std::as_writable_bytes(std::span(values).subspan(begin)), comm::kNoDeadline);
  }
  return values;
}

std::uint64_t value_frames_bytes(std::uint64_t count) {
  return (count + kChunkValues - 1) / kChunkValues * comm::kHeaderBytes + count * sizeof(float);
}

}  // namespace starling::federated
