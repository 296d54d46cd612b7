// The messages of the "client" service (client.capnp) as plain structs. Decoding is bounded and throws Kind::malformed
// naming `peer` and the field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "federated/server.h"

namespace starling::federated {

inline constexpr std::string_view kClientService = "client";

/// Of a model at most: what a node is ready to hold.
inline constexpr std::uint64_t kValuesMax = std::uint64_t{1} << 34;

struct ClientJob {
  std::string experiment;  // the file, resolved
  std::uint64_t run = 0, first_task = 1;
  std::uint32_t node = 0, nodes = 1;
  std::uint64_t values = 0;
};

struct ClientReady {
  std::uint32_t threads = 1;
  std::uint64_t own_examples = 0;
};

struct TaskMessage {
  TaskId task = 0;
  std::int64_t client = 0, round = 0;
  LocalWork work;
  bool model = false, more = false;
};

struct ReplyMessage {
  TaskReply reply;  // without its vectors
  std::uint64_t values = 0, control_values = 0;
  bool stateful = false;
  std::string failure;
};

struct Verdict {
  TaskId task = 0;
  std::int64_t client = 0;
  bool counts = false;
};

struct ClientReport {
  std::uint64_t tasks = 0, peak_rss_bytes = 0, bytes_sent = 0, bytes_received = 0;
  double train_ms = 0;
};

std::vector<std::byte> encode(const ClientJob& job);
std::vector<std::byte> encode(const ClientReady& ready);
std::vector<std::byte> encode(const TaskMessage& task);
std::vector<std::byte> encode(const ReplyMessage& reply);
std::vector<std::byte> encode(const Verdict& verdict);
std::vector<std::byte> encode_settle(TaskId oldest);
std::vector<std::byte> encode(const ClientReport& report);

ClientJob decode_client_job(core::Bytes bytes, std::string_view peer);
ClientReady decode_client_ready(core::Bytes bytes, std::string_view peer);
TaskMessage decode_task(core::Bytes bytes, std::string_view peer);
ReplyMessage decode_reply(core::Bytes bytes, std::string_view peer);
Verdict decode_verdict(core::Bytes bytes, std::string_view peer);
TaskId decode_settle(core::Bytes bytes, std::string_view peer);
ClientReport decode_client_report(core::Bytes bytes, std::string_view peer);

}  // namespace starling::federated
