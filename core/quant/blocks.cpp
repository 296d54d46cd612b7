// The table of stored forms and the checked entry points over it.
#include "core/quant/blocks.h"

#include <array>

namespace starling::core {

#define BLOCK(name) BlockFormat name##_blocks();
#include "core/quant/all.def"
#undef BLOCK

namespace {

const BlockFormat& format_of(Type type) {
  static const std::array kFormats{
#define BLOCK(name) name##_blocks(),
#include "core/quant/all.def"
#undef BLOCK
  };
  for (const BlockFormat& format : kFormats)
    if (format.type == type) return format;
  fail(Kind::internal, "no conversion for element type {}", info(type).name);
}

void check_sizes(Type type, std::size_t values, std::size_t bytes) {
  const TypeInfo& t = info(type);
  const auto length = static_cast<std::size_t>(t.block_length);
  check(values % length == 0 && bytes == values / length * static_cast<std::size_t>(t.block_bytes), Kind::internal,
        "{} values of {} do not fill {} bytes", values, t.name, bytes);
}

}  // namespace

void dequantize(Type type, Bytes stored, std::span<float> values) {
  check_sizes(type, values.size(), stored.size());
  format_of(type).dequantize(stored, values);
}

void quantize(Type type, std::span<const float> values, std::span<std::byte> stored) {
  check_sizes(type, values.size(), stored.size());
  format_of(type).quantize(values, stored);
}

Tensor to_float(const Tensor& tensor) {
  if (tensor.type() == Type::f32) return tensor;
  Tensor result = Tensor::owned(Type::f32, tensor.shape());
  dequantize(tensor.type(), tensor.bytes(), result.mutable_floats());
  return result;
}

Tensor convert(const Tensor& tensor, Type type) {
  if (tensor.type() == type) return tensor;
  Tensor result = Tensor::owned(type, tensor.shape());
  std::vector<float> row(static_cast<std::size_t>(tensor.columns()));
  const std::size_t stored = tensor.rows() == 0 ? 0 : result.bytes().size() / static_cast<std::size_t>(tensor.rows());
  for (std::int64_t i = 0; i < tensor.rows(); ++i) {
    dequantize(tensor.type(), tensor.row_bytes(i), row);
    quantize(type, row, result.mutable_bytes().subspan(static_cast<std::size_t>(i) * stored, stored));
  }
  return result;
}

}  // namespace starling::core
