#include "comm/job.h"

#include <optional>

#include "comm/heartbeat.h"
#include "comm/message.h"
#include "comm/wire.capnp.h"

namespace starling::comm {

std::vector<std::byte> encode_job(const Job& job) {
  return encode_message<wire::Job>([&](wire::Job::Builder out) {
    out.setService(job.service);
    out.setSettings(capnp::Data::Reader(reinterpret_cast<const kj::byte*>(job.settings.data()), job.settings.size()));
  });
}

Job decode_job(core::Bytes bytes, std::string_view peer) {
  return decode_message<wire::Job>(bytes, peer, "job", [](wire::Job::Reader in) {
    Job job;
    job.service = in.getService();
    const auto settings = in.getSettings();
    const auto* data = reinterpret_cast<const std::byte*>(settings.begin());
    job.settings.assign(data, data + settings.size());
    return job;
  });
}

namespace {

// nullopt: rank 0 said goodbye.
std::optional<Job> receive_job(Transport& transport) {
  const Incoming incoming = transport.next(0, kNoDeadline);
  if (incoming.kind == Kind::goodbye) {
    transport.read(0, {}, kNoDeadline);
    return std::nullopt;
  }
  core::check(incoming.kind == Kind::job && incoming.length <= kMessageBytesMax, core::Kind::malformed,
              "{}: sent a {} frame of {} bytes where a job was expected", transport.name(0),
              to_string(incoming.kind), incoming.length);
  std::vector<std::byte> bytes(incoming.length);
  transport.read(0, bytes, kNoDeadline);
  return decode_job(bytes, transport.name(0));
}

const Service& find(std::span<const Service> services, std::string_view name) {
  std::string known;
  for (const Service& service : services) {
    if (service.name == name) return service;
    known += fmt::format("{}{}", known.empty() ? "" : " ", service.name);
  }
  core::fail(core::Kind::unsupported, "no service '{}' on this node; it offers: {}", name, known);
}

}  // namespace

void serve_session(Transport& transport, std::span<const Service> services) {
  const Heartbeat heartbeat(transport);
  try {
    while (const std::optional<Job> job = receive_job(transport))
      find(services, job->service).serve(transport, job->settings);
  } catch (const core::Error& error) {
    abort_session(transport, error);
    throw;
  } catch (const std::exception& exception) {
    const core::Error error(core::Kind::overloaded, exception.what());
    abort_session(transport, error);
    throw error;
  }
}

void end_session(Transport& transport) {
  for (Rank rank = 1; rank < transport.size(); ++rank) transport.send(rank, Kind::goodbye, {}, kNoDeadline);
}

}  // namespace starling::comm
