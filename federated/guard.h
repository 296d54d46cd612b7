// What every reply passes before a strategy sees it: an update that is no update, by accident or by design, is refused by
// the reason's name.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "federated/server.h"

namespace starling::federated {

/// Empty, or why the reply to a task of `client`, which started from `start`, does not count: client, shape, weight (none,
/// or above examples_max), nonfinite, norm (a move longer than norm_max).
std::string guard(const TaskReply& reply, std::int64_t client, std::span<const float> start, const RoundsPolicy& policy);

}  // namespace starling::federated
