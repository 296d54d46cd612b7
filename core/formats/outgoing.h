// A tensor on its way into a file: converted and streamed a few rows at a time, so that models larger than
// memory can be written.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "core/file.h"
#include "core/pool.h"
#include "core/tensor.h"

namespace starling::core {

/// `write` gives the sink exactly byte_size(type, shape) bytes.
struct Outgoing {
  std::string name;
  Type type = Type::f32;
  Shape shape;
  std::function<void(const Sink&)> write;
};

/// Floats that stay where they are until they are written.
Outgoing outgoing_floats(std::string name, Shape shape, std::span<const float> values);

/// Source row of each row written; empty: the same order.
using RowOrder = std::function<std::int64_t(std::int64_t)>;

/// `tensor` stored as `type`. A value that `type` cannot hold fails while writing, naming the tensor.
Outgoing outgoing(std::string name, const Tensor& tensor, Type type, RowOrder source_row = {});

/// What `source` writes, stored as `type`: rows are converted on the pool's threads as they come. `source` itself when
/// it has that type.
Outgoing converted(Outgoing source, Type type, Pool& pool);

/// Streams `tensor` into `sink`, counting. Kind::internal if it writes more or less than it declared.
void write_checked(const Outgoing& tensor, const Sink& sink);

/// `wanted`, or f16 where the blocks of `wanted` do not divide the rows.
Type storable(Type wanted, const Shape& shape);

}  // namespace starling::core
