// The checks that every product makes before its kernel runs.
#include "core/ops/product_job.h"

namespace starling::core {

ProductJob product_job(const Tensor& weights, std::int64_t unit, std::span<const float> x, std::int64_t rows,
                       std::size_t results) {
  const TypeInfo& stored = info(weights.type());
  const std::int64_t columns = weights.columns(), outputs = weights.rows();
  ensure(weights.shape().size() == 2 && columns > 0 && rows > 0, "a product needs a matrix and rows");
  ensure(x.size() == static_cast<std::size_t>(rows * columns), "a product's input has another size than its weights");
  ensure(results == static_cast<std::size_t>(rows * outputs), "a product's output has another size than its weights");
  ensure(unit > 0 && (unit % stored.block_length == 0 || unit >= columns), "a unit of a sum cuts a block");
  return {.type = weights.type(),
          .weights = weights.bytes().data(),
          .row_bytes = static_cast<std::size_t>(columns / stored.block_length * stored.block_bytes),
          .columns = static_cast<std::size_t>(columns),
          .unit = static_cast<std::size_t>(unit),
          .x = x.data(),
          .rows = static_cast<std::size_t>(rows)};
}

}  // namespace starling::core
