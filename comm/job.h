// What a master asks of a node: a service by name, with the service's own settings.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "comm/transport.h"

namespace starling::comm {

struct Job {
  std::string service;
  std::vector<std::byte> settings;
};

std::vector<std::byte> encode_job(const Job& job);
/// Kind::malformed naming `peer`.
Job decode_job(core::Bytes bytes, std::string_view peer);

/// One entry of a node's table of services.
struct Service {
  std::string_view name;
  std::function<void(Transport&, core::Bytes settings)> serve;
};

/// A worker's session: runs rank 0's jobs one after the other until its goodbye, while a thread of its own keeps
/// the heartbeats going. When a job fails, the reason is sent to all ranks (an abort) and rethrown: the session is
/// over. Kind::unsupported, with the services there are, when a job names an unknown one.
void serve_session(Transport& transport, std::span<const Service> services);

/// Rank 0's end of a session: a goodbye to every rank.
void end_session(Transport& transport);

}  // namespace starling::comm
