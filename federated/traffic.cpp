#include "federated/traffic.h"

#include "comm/frame.h"
#include "federated/client_messages.h"
#include "federated/value_frames.h"

namespace starling::federated {

void count_task(Traffic& traffic, std::uint64_t values, std::uint64_t control) {
  static const std::uint64_t message = comm::kHeaderBytes + encode(TaskMessage{}).size();
  traffic.down_payload += (values + control) * sizeof(float);
  traffic.down_wire += message + value_frames_bytes(values) + value_frames_bytes(control);
}

void count_reply(Traffic& traffic, std::uint64_t values, std::uint64_t control) {
  static const std::uint64_t message = comm::kHeaderBytes + encode(ReplyMessage{}).size();
  traffic.up_payload += (values + control) * sizeof(float);
  traffic.up_wire += message + value_frames_bytes(values) + value_frames_bytes(control);
}

}  // namespace starling::federated
