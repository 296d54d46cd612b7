#include "core/tensor.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "core/zeroed_memory.h"

namespace starling::core {
namespace {

std::string describe(const Shape& shape) {
  std::string text;
  for (const std::int64_t n : shape) text += fmt::format("{}{}", text.empty() ? "" : "x", n);
  return text.empty() ? "scalar" : text;
}

}  // namespace

std::int64_t element_count(const Shape& shape) {
  std::uint64_t count = 1;
  for (const std::int64_t n : shape) {
    // Joined only where it fails: this is asked for every value of a training step.
    check(n >= 0, Kind::malformed, "negative dimension in shape {}", fmt::join(shape, "x"));
    const auto product = checked_multiply(count, static_cast<std::uint64_t>(n));
    check(product && *product <= (std::uint64_t{1} << 62), Kind::malformed, "shape {} is too large", fmt::join(shape, "x"));
    count = *product;
  }
  return static_cast<std::int64_t>(count);
}

std::uint64_t byte_size(Type type, const Shape& shape) {
  const TypeInfo& t = info(type);
  const std::int64_t count = element_count(shape);
  check(shape.empty() || shape.back() % t.block_length == 0, Kind::malformed,
        "shape {}: rows of {} need a multiple of {} values", describe(shape), t.name, t.block_length);
  const auto bytes = checked_multiply(static_cast<std::uint64_t>(count / t.block_length),
                                      static_cast<std::uint64_t>(t.block_bytes));
  check(bytes.has_value(), Kind::malformed, "shape {} of {} is too large", describe(shape), t.name);
  return *bytes;
}

Tensor Tensor::owned(Type type, Shape shape) {
  Tensor t;
  const std::uint64_t size = byte_size(type, shape);
  t.type_ = type;
  t.shape_ = std::move(shape);
  t.owned_ = true;
  if (size == 0) return t;
  const std::shared_ptr<std::byte> memory = zeroed_memory(size);
  t.keeper_ = memory;
  t.data_ = Bytes(memory.get(), size);
  return t;
}

Tensor Tensor::borrowed(Type type, Shape shape, Bytes data, std::shared_ptr<const void> keeper) {
  const std::uint64_t size = byte_size(type, shape);
  check(data.size() == size, Kind::malformed, "tensor of shape {} as {} takes {} bytes, {} given", describe(shape),
        info(type).name, size, data.size());
  Tensor t;
  t.type_ = type;
  t.shape_ = std::move(shape);
  t.data_ = data;
  t.keeper_ = std::move(keeper);
  return t;
}

Tensor Tensor::from_floats(Shape shape, std::span<const float> values) {
  Tensor t = owned(Type::f32, std::move(shape));
  check(t.data_.size() == values.size_bytes(), Kind::internal, "{} values for shape {}", values.size(),
        describe(t.shape_));
  if (!values.empty()) std::memcpy(t.mutable_bytes().data(), values.data(), values.size_bytes());
  return t;
}

std::int64_t Tensor::rows() const {
  if (shape_.empty() || shape_.back() == 0) return 0;
  return element_count(shape_) / shape_.back();
}

std::span<std::byte> Tensor::mutable_bytes() {
  ensure(owned_, "a borrowed tensor is read-only");
  return {const_cast<std::byte*>(data_.data()), data_.size()};
}

Bytes Tensor::row_bytes(std::int64_t row) const {
  const TypeInfo& t = info(type_);
  const auto bytes = static_cast<std::size_t>(columns() / t.block_length * t.block_bytes);
  return data_.subspan(static_cast<std::size_t>(row) * bytes, bytes);
}

std::span<const float> Tensor::floats() const {
  ensure(type_ == Type::f32, "floats() of a tensor that is not f32");
  return {reinterpret_cast<const float*>(data_.data()), data_.size() / sizeof(float)};
}

std::span<float> Tensor::mutable_floats() {
  ensure(type_ == Type::f32, "mutable_floats() of a tensor that is not f32");
  const auto bytes = mutable_bytes();
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

Tensor Tensor::slice_rows(std::int64_t begin, std::int64_t end) const {
  ensure(shape_.size() == 2 && 0 <= begin && begin <= end && end <= shape_[0], "slice_rows out of range");
  Tensor t = *this;
  t.shape_[0] = end - begin;
  const std::size_t row = shape_[0] == 0 ? 0 : data_.size() / static_cast<std::size_t>(shape_[0]);
  t.data_ = data_.subspan(static_cast<std::size_t>(begin) * row, static_cast<std::size_t>(end - begin) * row);
  return t;
}

Tensor Tensor::reshaped(Shape shape) const {
  ensure(byte_size(type_, shape) == data_.size(), "reshaped() to another number of elements");
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::copy_columns(std::int64_t begin, std::int64_t end) const {
  const TypeInfo& t = info(type_);
  ensure(shape_.size() == 2 && 0 <= begin && begin <= end && end <= shape_[1], "copy_columns out of range");
  ensure(begin % t.block_length == 0 && end % t.block_length == 0, "copy_columns inside a block");
  Tensor result = owned(type_, {shape_[0], end - begin});
  if (result.empty()) return result;
  const auto first = static_cast<std::size_t>(begin / t.block_length * t.block_bytes);
  const auto length = static_cast<std::size_t>((end - begin) / t.block_length * t.block_bytes);
  std::byte* out = result.mutable_bytes().data();
  for (std::int64_t row = 0; row < shape_[0]; ++row)
    std::memcpy(out + static_cast<std::size_t>(row) * length, row_bytes(row).data() + first, length);
  return result;
}

}  // namespace starling::core
