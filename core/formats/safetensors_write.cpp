// The writing half of safetensors.
#include <nlohmann/json.hpp>

#include "core/formats/safetensors.h"

namespace starling::core {
namespace {

std::string_view dtype_of(Type type, const std::string& name) {
  switch (type) {
    case Type::f32: return "F32";
    case Type::f16: return "F16";
    case Type::bf16: return "BF16";
    default: fail(Kind::usage, "tensor {}: safetensors cannot hold {}, only f32, f16 and bf16", name, info(type).name);
  }
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, std::string>& metadata,
                       std::span<const Outgoing> tensors) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const Outgoing& tensor : tensors) {
    const std::uint64_t end = offset + byte_size(tensor.type, tensor.shape);
    check(!header.contains(tensor.name), Kind::usage, "tensor {} is there twice", tensor.name);
    header[tensor.name] = {{"dtype", dtype_of(tensor.type, tensor.name)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.empty() ? "{}" : header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  Writer head;
  head.number(static_cast<std::uint64_t>(text.size()));
  head.text(text);
  write_file(path, [&](const Sink& sink) {
    sink(head.view());
    for (const Outgoing& tensor : tensors) write_checked(tensor, sink);
  });
}

}  // namespace starling::core
