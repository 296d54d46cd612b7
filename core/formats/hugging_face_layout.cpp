// How Hugging Face checkpoints name tensors and order the rows of rotary heads.
#include <cstring>

#include "core/formats/hugging_face.h"

namespace starling::core {

Tensor interleave_heads(const Tensor& tensor, std::int64_t head_size) {
  Tensor result = Tensor::owned(tensor.type(), tensor.shape());
  const std::int64_t half = head_size / 2;
  for (std::int64_t row = 0; row < tensor.rows(); ++row) {
    const std::int64_t head = row / head_size * head_size, within = row % head_size;
    const Bytes source = tensor.row_bytes(head + within % 2 * half + within / 2);
    std::memcpy(result.mutable_bytes().data() + static_cast<std::size_t>(row) * source.size(), source.data(), source.size());
  }
  return result;
}

RowOrder rows_to_hugging_face(std::int64_t head_size) {
  return [head_size](std::int64_t row) {
    const std::int64_t half = head_size / 2, head = row / head_size * head_size, within = row % head_size;
    return head + within % half * 2 + within / half;
  };
}

}  // namespace starling::core
