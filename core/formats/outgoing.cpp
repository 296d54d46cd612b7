#include "core/formats/outgoing.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/quant/blocks.h"

namespace starling::core {
namespace {

// Rows are collected up to this size, so that small rows do not mean small writes.
constexpr std::size_t kBatchBytes = std::size_t{1} << 20;

void write_converted(const std::string& name, const Tensor& tensor, Type type, const RowOrder& source_row,
                     const Sink& sink) {
  const std::uint64_t row_bytes = byte_size(type, {tensor.columns()});
  if (row_bytes == 0) return;
  const auto batch_rows = static_cast<std::int64_t>(std::max<std::uint64_t>(1, kBatchBytes / row_bytes));
  std::vector<float> values(static_cast<std::size_t>(tensor.columns()));
  std::vector<std::byte> batch;
  for (std::int64_t begin = 0; begin < tensor.rows(); begin += batch_rows) {
    const std::int64_t end = std::min(begin + batch_rows, tensor.rows());
    batch.resize(static_cast<std::size_t>(end - begin) * row_bytes);
    for (std::int64_t row = begin; row < end; ++row) {
      const Bytes source = tensor.row_bytes(source_row ? source_row(row) : row);
      const auto target = std::span(batch).subspan(static_cast<std::size_t>(row - begin) * row_bytes, row_bytes);
      if (tensor.type() == type) {
        std::memcpy(target.data(), source.data(), source.size());
        continue;
      }
      dequantize(tensor.type(), source, values);
      try {
        quantize(type, values, target);
      } catch (const Error& error) {
        fail(error.kind(), "tensor {}, row {}: {}", name, row, error.what());
      }
    }
    sink(batch);
  }
}

}  // namespace

Outgoing outgoing(std::string name, const Tensor& tensor, Type type, RowOrder source_row) {
  Outgoing result{std::move(name), type, tensor.shape(), {}};
  byte_size(type, tensor.shape());
  result.write = [label = result.name, tensor, type, order = std::move(source_row)](const Sink& sink) {
    if (tensor.type() == type && !order)
      sink(tensor.bytes());
    else
      write_converted(label, tensor, type, order, sink);
  };
  return result;
}

Outgoing outgoing_floats(std::string name, Shape shape, std::span<const float> values) {
  return {std::move(name), Type::f32, std::move(shape), [values](const Sink& sink) { sink(std::as_bytes(values)); }};
}

void write_checked(const Outgoing& tensor, const Sink& sink) {
  const std::uint64_t declared = byte_size(tensor.type, tensor.shape);
  std::uint64_t written = 0;
  tensor.write([&](Bytes data) {
    written += data.size();
    check(written <= declared, Kind::internal, "tensor {}: more than its {} bytes", tensor.name, declared);
    sink(data);
  });
  check(written == declared, Kind::internal, "tensor {}: {} of {} bytes", tensor.name, written, declared);
}

Type storable(Type wanted, const Shape& shape) {
  const bool divides = shape.empty() || shape.back() % info(wanted).block_length == 0;
  return divides ? wanted : Type::f16;
}

}  // namespace starling::core
