// safetensors (Hugging Face): u64 length, a JSON header, tensor data without holes. A pure decoder and a
// streaming writer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/formats/outgoing.h"
#include "core/tensor.h"

namespace starling::core {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;  // "F32", "BF16", ...
  Shape shape;
  std::uint64_t offset = 0;  // from the start of the file
  std::uint64_t bytes = 0;
};

struct Safetensors {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> tensors;  // in the order of their data
};

/// Kind::malformed naming `source` and the tensor unless the data of all tensors follow each other from the end
/// of the header to the end of the file and each has the size of its shape.
Safetensors decode_safetensors(Bytes file, const std::string& source);

/// nullopt for dtypes that this build cannot compute with.
std::optional<Type> type_of_dtype(const std::string& dtype);

/// The tensor's bytes: borrowed, or copied when an f32 tensor is not 4-byte aligned. Kind::unsupported naming
/// the dtype.
Tensor safetensors_tensor(const SafetensorsEntry& entry, Bytes file, std::shared_ptr<const void> keeper,
                          const std::string& source);

/// A list of F32, copied. Kind::malformed naming `source` and the tensor for another shape or type.
std::vector<float> safetensors_floats(const SafetensorsEntry& entry, Bytes file, const std::string& source);

/// Kind::usage for tensors stored in blocks: safetensors holds plain numbers.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, std::string>& metadata,
                       std::span<const Outgoing> tensors);

}  // namespace starling::core
