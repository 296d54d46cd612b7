// Adding loops of the all-reduce algorithms, and operands added in rank order.
#include "comm/collectives/reduction.h"

namespace starling::comm {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

template <class T>
void add_plainly(T* __restrict sum, const T* __restrict operand, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sum[i] += operand[i];
}

}  // namespace

void add(std::span<double> sum, std::span<const double> operand) {
  add_plainly(sum.data(), operand.data(), sum.size());
}

void add(std::span<float> sum, std::span<const float> operand) {
  add_plainly(sum.data(), operand.data(), sum.size());
}

void add_in_order(std::span<const float* const> operands, std::span<float> sum) {
  constexpr std::size_t kBlock = 1024;  // stays in the nearest cache while all operands pass
  alignas(kAlignment) float block[kBlock];
  for (std::size_t begin = 0; begin < sum.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, sum.size() - begin);
    std::memcpy(block, operands.front() + begin, count * sizeof(float));
    for (const float* operand : operands.subspan(1)) add_plainly(block, operand + begin, count);
    std::memcpy(sum.data() + begin, block, count * sizeof(float));
  }
}

std::span<Rank> others(Scratch& scratch, Rank begin, Rank end, Rank self) {
  const std::span<std::byte> bytes = scratch.get(kSources, static_cast<std::size_t>(end - begin) * sizeof(Rank));
  auto* const ranks = reinterpret_cast<Rank*>(bytes.data());
  std::size_t count = 0;
  for (Rank rank = begin; rank < end; ++rank)
    if (rank != self) ranks[count++] = rank;
  return {ranks, count};
}

void add_operands_of(const Reduction<float>& r, std::span<Rank> sources, std::span<float> own) {
  if (sources.empty()) return;
  const std::size_t count = sources.size();
  const std::size_t stride = padded(own.size_bytes());
  std::byte* const slots = r.scratch.get(kSlots, stride * count).data();
  auto* const order = reinterpret_cast<Rank*>(r.scratch.get(kOrder, count * sizeof(Rank)).data());
  auto* const operands = reinterpret_cast<const float**>(
      r.scratch.get(kOperands, (count + 1) * sizeof(const float*)).data());
  std::copy(sources.begin(), sources.end(), order);
  const auto place_of = [&](Rank rank) { return static_cast<std::size_t>(std::lower_bound(order, order + count, rank) - order); };

  // A rank's operand has its place in the sum, whenever it arrives.
  const std::size_t own_place = place_of(r.rank());
  const auto slot = [&](std::size_t place) { return reinterpret_cast<float*>(slots + stride * place); };
  for (std::size_t i = 0; i < count; ++i) operands[i < own_place ? i : i + 1] = slot(i);
  operands[own_place] = own.data();
  in_arrival_order(r.transport, sources, r.deadline,
                   [&](Rank rank) { r.receive(rank, std::span(slot(place_of(rank)), own.size())); });
  add_in_order({operands, count + 1}, own);
}

}  // namespace starling::comm
