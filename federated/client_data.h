// Whose examples are whose: what each client of an experiment trains on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/data/dataset.h"
#include "core/data/partition.h"
#include "core/data/synthetic.h"

namespace starling::federated {

using core::Examples;

/// Some examples of a set.
struct Selection {
  const Examples* data = nullptr;
  std::span<const std::uint32_t> members;
};

/// Where examples that are made for the occasion live, until it is used again.
struct Room {
  Examples made;
  std::vector<std::uint32_t> members;
};

/// Safe to use from several threads, each with a Room of its own.
class ClientData {
 public:
  virtual ~ClientData() = default;
  virtual std::int64_t clients() const = 0;
  /// How many examples a client has; never 0.
  virtual std::int64_t count(std::int64_t client) const = 0;
  virtual Selection of(std::int64_t client, Room& room) const = 0;
};

/// One set, cut in parts.
class PartitionedData final : public ClientData {
 public:
  /// Both are borrowed. Kind::usage for a client without examples.
  PartitionedData(const Examples& data, const core::Partition& parts);
  std::int64_t clients() const override { return static_cast<std::int64_t>(parts_.size()); }
  std::int64_t count(std::int64_t client) const override { return static_cast<std::int64_t>(parts_[static_cast<std::size_t>(client)].size()); }
  Selection of(std::int64_t client, Room&) const override { return {&data_, parts_[static_cast<std::size_t>(client)]}; }

 private:
  const Examples& data_;
  const core::Partition& parts_;
};

/// Examples made from the client's number when they are needed, so that a million clients hold no memory.
class GeneratedData final : public ClientData {
 public:
  GeneratedData(const core::SyntheticOptions& options, std::int64_t clients);
  std::int64_t clients() const override { return clients_; }
  std::int64_t count(std::int64_t) const override { return synthetic_.options().examples; }
  Selection of(std::int64_t client, Room& room) const override;

 private:
  core::Synthetic synthetic_;
  std::int64_t clients_;
};

/// The whole of a set, as one client's.
class OwnData final : public ClientData {
 public:
  /// `client` is the one who has it; all others are somebody else's. Kind::usage for a set without examples.
  OwnData(const Examples& data, std::int64_t client, std::int64_t clients);
  std::int64_t clients() const override { return clients_; }
  std::int64_t count(std::int64_t client) const override;
  Selection of(std::int64_t client, Room&) const override;

 private:
  const Examples& data_;
  std::int64_t client_, clients_;
  std::vector<std::uint32_t> members_;
};

}  // namespace starling::federated
