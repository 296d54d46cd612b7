// The one tensor: a type, a shape and bytes that are either owned or borrowed from a mapped file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "core/types.h"

namespace starling::core {

/// Sizes, outermost first; rows are contiguous: {rows, columns} for a matrix, {n} for a vector.
using Shape = std::vector<std::int64_t>;

std::int64_t element_count(const Shape& shape);
/// Bytes of `shape` stored as `type`. The last dimension must be a multiple of the block length
/// (Kind::malformed otherwise, also on overflow).
std::uint64_t byte_size(Type type, const Shape& shape);

/// Copies share the bytes. The first byte of owned memory is 64-byte aligned; borrowed memory has the
/// alignment of its source, so kernels use unaligned loads.
class Tensor {
 public:
  Tensor() = default;
  /// Zero-filled memory of its own.
  static Tensor owned(Type type, Shape shape);
  /// Borrows `data`, kept alive by `keeper`. Kind::malformed unless data.size() fits the shape.
  static Tensor borrowed(Type type, Shape shape, Bytes data, std::shared_ptr<const void> keeper);
  static Tensor from_floats(Shape shape, std::span<const float> values);

  Type type() const { return type_; }
  const Shape& shape() const { return shape_; }
  bool empty() const { return data_.empty(); }
  bool is_owned() const { return owned_; }
  /// Rows of a matrix (product of all dimensions but the last) and their length.
  std::int64_t rows() const;
  std::int64_t columns() const { return shape_.empty() ? 0 : shape_.back(); }

  Bytes bytes() const { return data_; }
  /// Kind::internal when the bytes are borrowed.
  std::span<std::byte> mutable_bytes();
  Bytes row_bytes(std::int64_t row) const;
  /// Only for Type::f32 with 4-byte aligned data (owned memory and GGUF tensors are).
  std::span<const float> floats() const;
  std::span<float> mutable_floats();

  /// Rows [begin, end): shares the bytes.
  Tensor slice_rows(std::int64_t begin, std::int64_t end) const;
  /// The same bytes as another shape of as many elements, with rows of a whole number of blocks.
  Tensor reshaped(Shape shape) const;
  /// Columns [begin, end) as an owned copy; both must be multiples of the block length (or the row end).
  Tensor copy_columns(std::int64_t begin, std::int64_t end) const;

 private:
  Type type_ = Type::f32;
  Shape shape_;
  Bytes data_;
  bool owned_ = false;
  std::shared_ptr<const void> keeper_;
};

}  // namespace starling::core
