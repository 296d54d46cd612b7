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

/// Converts rows that arrive in pieces of any size.
class RowConverter {
 public:
  RowConverter(const std::string& name, Type from, Type to, std::int64_t columns, Pool& pool, const Sink& sink)
      : name_(name), from_(from), to_(to), columns_(static_cast<std::size_t>(columns)), pool_(pool), sink_(sink),
        in_bytes_(byte_size(from, {columns})), out_bytes_(byte_size(to, {columns})),
        batch_rows_(std::max<std::size_t>(1, kConvertedValues / columns_)) {}

  void push(Bytes data) {
    if (!open_.empty()) {  // the rest of a row that began in an earlier piece
      const std::size_t missing = std::min(data.size(), in_bytes_ - open_.size());
      open_.insert(open_.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(missing));
      data = data.subspan(missing);
      if (open_.size() < in_bytes_) return;
      convert_rows(open_, 1);
      open_.clear();
    }
    for (std::size_t rows; (rows = std::min(data.size() / in_bytes_, batch_rows_)) > 0; data = data.subspan(rows * in_bytes_))
      convert_rows(data.first(rows * in_bytes_), rows);
    open_.assign(data.begin(), data.end());
  }

 private:
  static constexpr std::size_t kConvertedValues = std::size_t{1} << 20;  // at once: some 20 ms of work

  void convert_rows(Bytes in, std::size_t rows) {
    out_.resize(rows * out_bytes_);
    pool_.parallel_for(static_cast<std::int64_t>(rows), 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> values(columns_);
      for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row) {
        dequantize(from_, in.subspan(row * in_bytes_, in_bytes_), values);
        try {
          quantize(to_, values, std::span(out_).subspan(row * out_bytes_, out_bytes_));
        } catch (const Error& error) {
          fail(error.kind(), "tensor {}, row {}: {}", name_, row_ + row, error.what());
        }
      }
    });
    row_ += rows;
    sink_(out_);
  }

  const std::string& name_;
  Type from_, to_;
  std::size_t columns_;
  Pool& pool_;
  const Sink& sink_;
  std::size_t in_bytes_, out_bytes_, batch_rows_, row_ = 0;
  std::vector<std::byte> open_, out_;
};

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

Outgoing converted(Outgoing source, Type type, Pool& pool) {
  if (source.type == type || source.shape.empty() || element_count(source.shape) == 0) return source;
  Outgoing result{source.name, type, source.shape, {}};
  byte_size(type, result.shape);
  result.write = [source = std::move(source), type, &pool](const Sink& sink) {
    RowConverter rows(source.name, source.type, type, source.shape.back(), pool, sink);
    source.write([&](Bytes data) { rows.push(data); });
  };
  return result;
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
