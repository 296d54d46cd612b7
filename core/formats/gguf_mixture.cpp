#include "core/formats/gguf_mixture.h"

#include <algorithm>

#include "core/formats/gguf_llama.h"

namespace starling::core {
namespace {

const GgufValue* find(const GgufMetadata& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata)
    if (name == key) return &value;
  return nullptr;
}

/// A count, or the largest of a list of one for each layer; 0 when there is none.
std::int64_t count_of(const GgufMetadata& metadata, const std::string& key) {
  const GgufValue* value = find(metadata, key);
  if (!value) return 0;
  if (const auto* number = std::get_if<std::int64_t>(&value->data)) return *number;
  const auto* list = std::get_if<std::vector<std::int64_t>>(&value->data);
  return list && !list->empty() ? *std::max_element(list->begin(), list->end()) : 0;
}

void write_mixture(const std::filesystem::path& path, GgufMetadata metadata, std::vector<Outgoing> tensors,
                   const Mixture& mixture, Pool& pool, const WriteProgress& progress) {
  const MixtureModel model = mixture_model(metadata, tensors);
  set_count(metadata, "general.file_type", mixture.file_type);
  set_count(metadata, "general.quantization_version", 2);
  std::uint64_t done = 0, total = 0;
  for (Outgoing& tensor : tensors) {
    if (const auto type = mixed_type(mixture, tensor.name, tensor.shape, model)) tensor = converted(std::move(tensor), *type, pool);
    total += byte_size(tensor.type, tensor.shape);
    if (!progress) continue;
    tensor.write = [&, write = std::move(tensor.write)](const Sink& sink) {
      write([&](Bytes data) {
        sink(data);
        progress(done += data.size(), total);
      });
    };
  }
  write_gguf(path, metadata, tensors);
}

}  // namespace

void set_count(GgufMetadata& metadata, std::string_view key, std::int64_t count) {
  const GgufValue value{GgufType::u32, false, count};
  for (auto& [name, old] : metadata)
    if (name == key) {
      old = value;
      return;
    }
  metadata.emplace_back(key, value);
}

MixtureModel mixture_model(const GgufMetadata& metadata, std::span<const Outgoing> tensors) {
  MixtureModel model;
  if (const GgufValue* value = find(metadata, "general.architecture"))
    if (const auto* name = std::get_if<std::string>(&value->data)) model.architecture = *name;
  const std::string& prefix = model.architecture;
  model.layers = count_of(metadata, prefix + ".block_count");
  model.heads = count_of(metadata, prefix + ".attention.head_count");
  model.kv_heads = count_of(metadata, prefix + ".attention.head_count_kv");
  if (model.kv_heads == 0) model.kv_heads = model.heads;
  model.experts = count_of(metadata, prefix + ".expert_count");
  model.has_output = std::any_of(tensors.begin(), tensors.end(), [](const Outgoing& t) { return t.name == "output.weight"; });
  return model;
}

void save_gguf(const std::filesystem::path& path, const LlamaModel& model, const Mixture& mixture, Pool& pool,
               const WriteProgress& progress) {
  GgufContents contents = gguf_contents(model, Type::f32);
  write_mixture(path, std::move(contents.metadata), std::move(contents.tensors), mixture, pool, progress);
}

void convert_gguf(const std::filesystem::path& in, const std::filesystem::path& out, const Mixture& mixture, Pool& pool,
                  const WriteProgress& progress) {
  const auto file = MappedFile::open(in);
  Gguf gguf = decode_gguf(file->bytes(), file->name());
  std::vector<Outgoing> tensors;
  for (const GgufTensor& tensor : gguf.tensors) {
    const Tensor stored = gguf_tensor(tensor, file->bytes(), file, file->name());
    tensors.push_back(outgoing(tensor.name, stored, stored.type()));
  }
  // The writer's alignment is the usual one, whatever the reader's was.
  std::erase_if(gguf.metadata, [](const auto& entry) { return entry.first == "general.alignment"; });
  write_mixture(out, std::move(gguf.metadata), std::move(tensors), mixture, pool, progress);
}

}  // namespace starling::core
