#include "federated/client_data.h"

#include <numeric>

#include "core/error.h"

namespace starling::federated {

using core::Kind;

PartitionedData::PartitionedData(const Examples& data, const core::Partition& parts) : data_(data), parts_(parts) {
  for (std::size_t client = 0; client < parts.size(); ++client)
    core::check(!parts[client].empty(), Kind::usage, "client {} has no examples; fewer clients, more data or a larger min_size would give it some", client);
}

GeneratedData::GeneratedData(const core::SyntheticOptions& options, std::int64_t clients) : synthetic_(options), clients_(clients) {
  core::check(clients > 0, Kind::usage, "{} clients", clients);
}

Selection GeneratedData::of(std::int64_t client, Room& room) const {
  synthetic_.fill(static_cast<std::uint64_t>(client), room.made);
  room.members.resize(static_cast<std::size_t>(room.made.count));
  std::iota(room.members.begin(), room.members.end(), 0u);
  return {&room.made, room.members};
}

OwnData::OwnData(const Examples& data, std::int64_t client, std::int64_t clients)
    : data_(data), client_(client), clients_(clients), members_(static_cast<std::size_t>(data.count)) {
  core::check(data.count > 0, Kind::usage, "client {} has no examples", client);
  std::iota(members_.begin(), members_.end(), 0u);
}

std::int64_t OwnData::count(std::int64_t client) const {
  core::ensure(client == client_, "a client whose data is somewhere else");
  return data_.count;
}

Selection OwnData::of(std::int64_t client, Room&) const {
  core::ensure(client == client_, "a client whose data is somewhere else");
  return {&data_, members_};
}

}  // namespace starling::federated
