// The table of all-reduce algorithms, their predicted cost, and the simple collectives.
#include "comm/collective.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <string>

#include "comm/collectives/reduction.h"

namespace starling::comm {

namespace algorithms {
#define COLLECTIVE(name) Collective name();
#include "comm/collectives/all.def"
#undef COLLECTIVE
}  // namespace algorithms

std::span<const Collective> collectives() {
  static const std::array table{
#define COLLECTIVE(name) algorithms::name(),
#include "comm/collectives/all.def"
#undef COLLECTIVE
  };
  return table;
}

const Collective& collective(std::string_view name) {
  std::string known;
  for (const Collective& c : collectives()) {
    if (c.name == name) return c;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", c.name);
  }
  core::fail(core::Kind::usage, "unknown all-reduce algorithm '{}'; known: {}", name, known);
}

double cost(const Collective& collective, const LinkCost& link, Rank ranks, Payload payload) {
  if (ranks <= 1 || payload.operand_bytes == 0) return 0;
  const Work w = collective.work(ranks, payload);
  const double chain =
      w.chain_bytes / link.bytes_per_s + w.chain_messages * link.message_cpu_s + w.chain_sum_bytes / link.sum_bytes_per_s;
  const double cpu = w.all_messages * link.message_cpu_s + w.all_bytes / link.copy_bytes_per_s +
                     w.all_sum_bytes / link.sum_bytes_per_s;
  // Ranks that share cores have all of their work done by fewer cores than ranks.
  const double shared = link.ranks_per_core > 1 ? cpu * link.ranks_per_core / ranks : 0;
  return w.latencies * link.latency_s + std::max(chain, shared);
}

std::span<std::byte> Scratch::get(std::size_t index, std::size_t bytes) {
  constexpr std::align_val_t kAlignment{64};
  if (index >= buffers_.size()) buffers_.resize(index + 1);
  Buffer& buffer = buffers_[index];
  if (buffer.bytes < bytes) {
    buffer.memory.reset();
    buffer.memory = {static_cast<std::byte*>(::operator new(bytes, kAlignment)),
                     [](std::byte* p) { ::operator delete(p, kAlignment); }};
    buffer.bytes = bytes;
  }
  return {buffer.memory.get(), bytes};
}

void broadcast(Transport& transport, Rank root, std::span<std::byte> data, Deadline deadline) {
  const Rank n = transport.size();
  const auto size = static_cast<unsigned>(n);
  const auto place = static_cast<unsigned>((transport.rank() - root + n) % n);  // the root is 0 of the tree
  const auto rank_at = [&](unsigned at) { return static_cast<Rank>((at + static_cast<unsigned>(root)) % size); };
  const unsigned reach = place == 0 ? std::bit_ceil(size) : place & -place;
  if (place != 0) receive(transport, rank_at(place - reach), Kind::reduce, data, deadline);
  for (unsigned bit = std::bit_ceil(size); bit > 0; bit /= 2)
    if (bit < reach && place + bit < size) transport.send(rank_at(place + bit), Kind::reduce, data, deadline);
}

void gather(Transport& transport, Rank root, core::Bytes part, std::span<std::byte> all, Deadline deadline) {
  if (transport.rank() != root) {
    transport.send(root, Kind::reduce, part, deadline);
    return;
  }
  core::ensure(all.size() == part.size() * static_cast<std::size_t>(transport.size()), "gather: `all` holds a part of every rank");
  Scratch scratch;
  const auto place = [&](Rank rank) { return all.subspan(static_cast<std::size_t>(rank) * part.size(), part.size()); };
  std::copy(part.begin(), part.end(), place(root).begin());
  in_arrival_order(transport, others(scratch, 0, transport.size(), root), deadline,
                   [&](Rank rank) { receive(transport, rank, Kind::reduce, place(rank), deadline); });
}

void scatter(Transport& transport, Rank root, core::Bytes all, std::span<std::byte> part, Deadline deadline) {
  if (transport.rank() != root) {
    receive(transport, root, Kind::reduce, part, deadline);
    return;
  }
  core::ensure(all.size() == part.size() * static_cast<std::size_t>(transport.size()), "scatter: `all` holds a part of every rank");
  for (Rank rank = 0; rank < transport.size(); ++rank) {
    const core::Bytes theirs = all.subspan(static_cast<std::size_t>(rank) * part.size(), part.size());
    if (rank == root)
      std::copy(theirs.begin(), theirs.end(), part.begin());
    else
      transport.send(rank, Kind::reduce, theirs, deadline);
  }
}

void barrier(Transport& transport, Deadline deadline) {
  if (transport.rank() != 0) {
    transport.send(0, Kind::reduce, {}, deadline);
    receive(transport, 0, Kind::reduce, {}, deadline);
    return;
  }
  Scratch scratch;
  in_arrival_order(transport, others(scratch, 0, transport.size(), 0), deadline,
                   [&](Rank rank) { receive(transport, rank, Kind::reduce, {}, deadline); });
  for (Rank rank = 1; rank < transport.size(); ++rank) transport.send(rank, Kind::reduce, {}, deadline);
}

}  // namespace starling::comm
