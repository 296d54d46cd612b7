// Which integer kernels this processor runs.
#pragma once

#include <span>

#include "core/ops/packed_layout.h"

namespace starling::core {

/// The fastest here.
const PackedKernels& packed_kernels();
/// All that run here, the fastest first, the scalar reference last.
std::span<const PackedKernels* const> available_packed_kernels();

}  // namespace starling::core
