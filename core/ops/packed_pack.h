// The packed forms: which type becomes which.
#pragma once

#include "core/ops/packed_layout.h"
#include "core/types.h"

namespace starling::core {

/// Of a packed type.
PackedFormat packed_format(Type type);

}  // namespace starling::core
