// What a federated run sends, counted exactly: `payload` is models and control variates, `wire` all bytes of the frames
// that carry them. Each task counts as if its client lived on a device of its own, also where several share a node.
#pragma once

#include <cstdint>

namespace starling::federated {

struct Traffic {
  std::uint64_t down_payload = 0, down_wire = 0, up_payload = 0, up_wire = 0;
};

/// Of a task with so many values of a model, and a control variate of so many (0: none).
void count_task(Traffic& traffic, std::uint64_t values, std::uint64_t control);
/// Of its reply.
void count_reply(Traffic& traffic, std::uint64_t values, std::uint64_t control);

}  // namespace starling::federated
