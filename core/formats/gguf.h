// GGUF, versions 2 and 3 (the container of llama.cpp and ggml): a pure decoder over bytes and a streaming
// writer. What the values mean is said in gguf_llama.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/bytes.h"
#include "core/formats/outgoing.h"
#include "core/tensor.h"

namespace starling::core {

/// The type numbers of metadata values in the file.
enum class GgufType : std::uint32_t {
  u8 = 0, i8 = 1, u16 = 2, i16 = 3, u32 = 4, i32 = 5, f32 = 6, boolean = 7, string = 8, array = 9, u64 = 10, i64 = 11, f64 = 12,
};
std::string_view to_string(GgufType type);

/// A metadata value. Integers of every width and booleans in arrays are int64 (u64 above 2^63 - 1 is refused),
/// floats of both widths are double: exact for f32.
struct GgufValue {
  using Data = std::variant<std::int64_t, double, bool, std::string, std::vector<std::int64_t>, std::vector<double>,
                            std::vector<std::string>>;
  GgufType type = GgufType::u32;  // of the elements when `is_array`
  bool is_array = false;
  Data data;

  friend bool operator==(const GgufValue&, const GgufValue&) = default;
};

using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

struct GgufTensor {
  std::string name;
  Shape shape;                // outermost first: the reverse of the file's order
  std::uint32_t type_id = 0;  // ggml_type, perhaps one this build cannot hold
  std::uint64_t offset = 0;   // from the start of the file
  std::uint64_t bytes = 0;    // of an unknown type: up to the next tensor or the end of the file
};

struct Gguf {
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  GgufMetadata metadata;  // in file order
  std::vector<GgufTensor> tensors;

  const GgufValue* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;
};

/// Decodes the header of a whole file and checks everything the reference reader checks: unique keys and
/// names, tensors one after the other at padded offsets and inside the file. Kind::malformed naming `source`
/// and the field; Kind::unsupported for version 1, big-endian files and arrays of arrays.
Gguf decode_gguf(Bytes file, const std::string& source);

/// The name of a ggml element type ("q4_k"), or "type N" of one unknown here.
std::string ggml_type_name(std::uint32_t type_id);

/// The bytes of `tensor`, borrowed. Kind::unsupported when this build cannot hold its type.
Tensor gguf_tensor(const GgufTensor& tensor, Bytes file, std::shared_ptr<const void> keeper, const std::string& source);

/// Writes a version 3 file that the reference reader accepts: names of at most 63 bytes, alignment 32, padding
/// behind every tensor. Kind::usage when a name or key breaks the rules.
void write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata, std::span<const Outgoing> tensors);

}  // namespace starling::core
