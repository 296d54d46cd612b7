// The checks that every product makes before its kernel runs.
#include "core/ops/product_job.h"

#include <algorithm>

#include "core/quant/sub_blocks.h"

namespace starling::core {

ProductJob product_job(const Tensor& weights, const ProductColumns& of, std::span<const float> x, std::int64_t rows, std::size_t results) {
  const TypeInfo& stored = info(weights.type());
  const std::int64_t outputs = weights.rows(), columns = rows > 0 ? static_cast<std::int64_t>(x.size()) / rows : 0;
  ensure(weights.shape().size() == 2 && columns > 0 && rows > 0, "a product needs a matrix and rows");
  ensure(x.size() == static_cast<std::size_t>(rows * columns), "a product's input is no whole rows");
  ensure(of.first >= 0 && of.first + columns <= weights.columns(), "a product's input has another size than its weights");
  ensure(results == static_cast<std::size_t>(rows * outputs), "a product's output has another size than its weights");
  const std::int64_t whole = std::min<std::int64_t>(stored.block_length, kSubBlock);
  ensure(of.unit > 0 && of.first % whole == 0 && (of.unit % whole == 0 || of.unit >= columns), "a unit of a sum cuts a block");
  return {.type = weights.type(),
          .weights = weights.bytes().data(),
          .row_bytes = static_cast<std::size_t>(weights.columns() / stored.block_length * stored.block_bytes),
          .first = static_cast<std::size_t>(of.first),
          .columns = static_cast<std::size_t>(columns),
          .unit = static_cast<std::size_t>(of.unit),
          .x = x.data(),
          .rows = static_cast<std::size_t>(rows)};
}

}  // namespace starling::core
