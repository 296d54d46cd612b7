// Conversion between floats and the stored forms of core::Type, plain and exact: the reference for files and
// for the fast kernels. Block layouts are those of GGUF (ggml).
#pragma once

#include <span>

#include "core/bytes.h"
#include "core/tensor.h"
#include "core/types.h"

namespace starling::core {

/// One stored form. `values` are whole blocks; the callers below check sizes.
struct BlockFormat {
  Type type;
  void (*dequantize)(Bytes stored, std::span<float> values);
  void (*quantize)(std::span<const float> values, std::span<std::byte> stored);
};

/// Every value of `stored`. Kind::internal unless the sizes agree.
void dequantize(Type type, Bytes stored, std::span<float> values);

/// Kind::internal unless the sizes agree; Kind::unsupported when a block type cannot hold a value (NaN,
/// infinity, or a scale beyond binary16).
void quantize(Type type, std::span<const float> values, std::span<std::byte> stored);

/// All values of `tensor` as f32, owned; `tensor` itself when it is f32 already.
Tensor to_float(const Tensor& tensor);
/// `tensor` stored as `type`; itself when it is stored so already. Kind::malformed if a block does not
/// divide its rows.
Tensor convert(const Tensor& tensor, Type type);

}  // namespace starling::core
