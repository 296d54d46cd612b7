// What this machine could do at most, to set beside what a kernel does.
#pragma once

#include "core/pool.h"

namespace starling::core {

/// Bytes per second that the pool's threads read together from memory, best of several passes.
double measure_memory(core::Pool& pool);
/// Integer multiply-adds per second of the pool's threads together, from registers, best of several passes.
double measure_multiply_adds(core::Pool& pool);

}  // namespace starling::core
