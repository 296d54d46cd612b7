// The writing half of GGUF: header and metadata in memory, tensor data streamed.
#include <algorithm>
#include <unordered_set>

#include "core/formats/gguf.h"

namespace starling::core {
namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::size_t kTensorNameMax = 63;  // the reference reader keeps room for a NUL in 64 bytes
constexpr std::size_t kKeyMax = 65535;

void write_string(Writer& out, std::string_view text) {
  out.number(static_cast<std::uint64_t>(text.size()));
  out.text(text);
}

void write_integer(Writer& out, GgufType type, std::int64_t value) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean: return out.number(static_cast<std::uint8_t>(value));
    case GgufType::u16:
    case GgufType::i16: return out.number(static_cast<std::uint16_t>(value));
    case GgufType::u32:
    case GgufType::i32: return out.number(static_cast<std::uint32_t>(value));
    default: return out.number(value);
  }
}

void write_float(Writer& out, GgufType type, double value) {
  if (type == GgufType::f32)
    out.number(static_cast<float>(value));
  else
    out.number(value);
}

struct ValueWriter {
  Writer& out;
  GgufType type;

  void operator()(std::int64_t value) const { write_integer(out, type, value); }
  void operator()(double value) const { write_float(out, type, value); }
  void operator()(bool value) const { write_integer(out, type, value ? 1 : 0); }
  void operator()(const std::string& value) const { write_string(out, value); }
  template <class T>
  void operator()(const std::vector<T>& values) const {
    out.number(static_cast<std::uint64_t>(values.size()));
    for (const T& value : values) (*this)(value);
  }
};

/// Whether the variant holds what its type says.
bool consistent(const GgufValue& value) {
  const bool text = value.type == GgufType::string;
  const bool real = value.type == GgufType::f32 || value.type == GgufType::f64;
  const bool truth = value.type == GgufType::boolean;
  const std::size_t scalar = text ? 3 : real ? 1 : truth ? 2 : 0;
  const std::size_t list = text ? 6 : real ? 5 : 4;
  return value.type != GgufType::array && value.data.index() == (value.is_array ? list : scalar);
}

void write_metadata(Writer& out, const GgufMetadata& metadata) {
  std::unordered_set<std::string_view> seen;
  for (const auto& [key, value] : metadata) {
    check(!key.empty() && key.size() <= kKeyMax && seen.insert(key).second, Kind::usage,
          "GGUF key '{}' is empty, too long or there twice", key);
    check(consistent(value), Kind::internal, "GGUF key {}: value and type {} differ", key, to_string(value.type));
    write_string(out, key);
    if (value.is_array) out.number(static_cast<std::uint32_t>(GgufType::array));
    out.number(static_cast<std::uint32_t>(value.type));
    std::visit(ValueWriter{out, value.type}, value.data);
  }
}

void write_tensor_infos(Writer& out, std::span<const Outgoing> tensors) {
  std::unordered_set<std::string_view> seen;
  std::uint64_t offset = 0;
  for (const Outgoing& tensor : tensors) {
    check(!tensor.name.empty() && tensor.name.size() <= kTensorNameMax && seen.insert(tensor.name).second, Kind::usage,
          "GGUF tensor name '{}' is empty, longer than {} bytes or there twice", tensor.name, kTensorNameMax);
    check(tensor.shape.size() <= 4, Kind::usage, "tensor {}: GGUF holds at most 4 dimensions", tensor.name);
    write_string(out, tensor.name);
    out.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
      out.number(static_cast<std::uint64_t>(*size));
    out.number(static_cast<std::uint32_t>(tensor.type));
    out.number(offset);
    offset += (byte_size(tensor.type, tensor.shape) + kAlignment - 1) / kAlignment * kAlignment;
  }
}

}  // namespace

void write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata, std::span<const Outgoing> tensors) {
  Writer head;
  head.text("GGUF");
  head.number(std::uint32_t{3});
  head.number(static_cast<std::uint64_t>(tensors.size()));
  head.number(static_cast<std::uint64_t>(metadata.size()));
  write_metadata(head, metadata);
  write_tensor_infos(head, tensors);
  head.pad_to(kAlignment);
  write_file(path, [&](const Sink& sink) {
    sink(head.view());
    for (const Outgoing& tensor : tensors) {
      write_checked(tensor, sink);
      const std::vector<std::byte> zeros((kAlignment - byte_size(tensor.type, tensor.shape) % kAlignment) % kAlignment);
      sink(zeros);
    }
  });
}

}  // namespace starling::core
