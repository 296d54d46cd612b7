// Hostile clients in an experiment (attack.h): a workplace whose hostile clients train like all others, and send what
// their attack makes of it. What is sent does not depend on where they were trained.
#pragma once

#include <memory>

#include "federated/attack.h"
#include "federated/workplace.h"

namespace starling::federated {

/// `inner` and `attack` are borrowed. An attack that needs to see what the honest clients of its round would send has
/// them trained before its own reply leaves; in real time, where replies come one by one, there can be no such attack.
std::unique_ptr<Workplace> attacked(Workplace& inner, const Attack& attack);

}  // namespace starling::federated
