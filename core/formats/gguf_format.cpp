// GGUF as an entry of the table of formats.
#include <cstring>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "core/file.h"
#include "core/formats/describe.h"
#include "core/formats/format.h"
#include "core/formats/gguf_llama.h"
#include "core/formats/llama_tensors.h"

namespace starling::core {
namespace {

constexpr std::size_t kShownElements = 8;  // of long arrays

bool accepts(const std::filesystem::path& path, Bytes content) {
  return path.extension() == ".gguf" || (content.size() >= 4 && std::memcmp(content.data(), "GGUF", 4) == 0);
}

LlamaModel load(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  LlamaModel model = gguf_llama(decode_gguf(file->bytes(), file->name()), file->bytes(), file, file->name());
  if (model.name.empty()) model.name = path.stem().string();
  return model;
}

Vocabulary vocabulary(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  Vocabulary result = gguf_vocabulary(decode_gguf(file->bytes(), file->name()), file->name());
  check(result.model != TokenizerModel::none, Kind::missing, "{}: tokenizer.ggml.model: the file holds no vocabulary",
        file->name());
  return result;
}

nlohmann::ordered_json shown(const GgufValue& value) {
  return std::visit(
      [&](const auto& data) -> nlohmann::ordered_json {
        using T = std::decay_t<decltype(data)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return printable(data);
        } else if constexpr (std::is_arithmetic_v<T>) {
          return data;
        } else {
          nlohmann::ordered_json first = nlohmann::ordered_json::array();
          for (std::size_t i = 0; i < std::min(data.size(), kShownElements); ++i) {
            if constexpr (std::is_same_v<typename T::value_type, std::string>)
              first.push_back(printable(data[i]));
            else
              first.push_back(data[i]);
          }
          return {{"array", to_string(value.type)}, {"count", data.size()}, {"first", std::move(first)}};
        }
      },
      value.data);
}

nlohmann::ordered_json describe(const std::filesystem::path& path) {
  const auto mapped = MappedFile::open(path);
  const Gguf file = decode_gguf(mapped->bytes(), mapped->name());
  auto result = new_description(mapped->name(), "gguf", mapped->bytes().size());
  result["version"] = file.version;
  for (const auto& [key, value] : file.metadata) result["metadata"][printable(key)] = shown(value);
  for (const GgufTensor& tensor : file.tensors)
    describe_tensor(result, tensor.name, ggml_type_name(tensor.type_id), tensor.shape, tensor.bytes);
  return result;
}

bool writes(const std::filesystem::path& path) { return path.extension() == ".gguf"; }

void save(const std::filesystem::path& path, const LlamaModel& model, Type type) {
  const GgufContents contents = gguf_contents(model, type);
  write_gguf(path, contents.metadata, contents.tensors);
}

}  // namespace

GgufContents gguf_contents(const LlamaModel& model, Type type) {
  std::vector<Outgoing> tensors = outgoing_tensors(model, gguf_names(), type);
  for (Outgoing& divisors : gguf_rope_tensors(model.config)) tensors.push_back(std::move(divisors));
  return {gguf_metadata(model.name, model.config, model.vocabulary, type), std::move(tensors)};
}

Format gguf_format() { return {"gguf", accepts, load, vocabulary, describe, writes, save}; }

}  // namespace starling::core
