// IDX, the format of MNIST: magic 0x00000803 (or 01), big-endian sizes, then unsigned bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/tensor.h"

namespace starling::core {

struct Idx {
  Shape shape;
  Bytes values;  // of the input's memory
};

/// Kind::malformed naming `source` unless magic, at most three sizes and the length agree.
Idx parse_idx(Bytes bytes, const std::string& source);

}  // namespace starling::core
