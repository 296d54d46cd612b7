// llama2.c as an entry of the table of formats.
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/formats/describe.h"
#include "core/formats/format.h"
#include "core/formats/llama2c.h"
#include "core/formats/llama_tensors.h"

namespace starling::core {
namespace {

bool accepts(const std::filesystem::path& path, Bytes content) { return !content.empty() && path.extension() == ".bin"; }

LlamaModel load(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  LlamaModel model = decode_llama2c(file->bytes(), file, file->name());
  model.name = path.stem().string();
  return model;
}

Vocabulary vocabulary(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const auto count = llama2c_config(file->bytes(), file->name()).vocabulary;
  const std::array<std::string, 4> names{fmt::format("tok{}.bin", count), "tokenizer.bin", "tokenizer.model",
                                         "tokenizer.json"};
  return read_vocabulary_file(find_beside(path.parent_path(), names, path.string()));
}

nlohmann::ordered_json describe(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const LlamaModel model = decode_llama2c(file->bytes(), nullptr, file->name());
  auto result = new_description(file->name(), "llama2c", file->bytes().size());
  const LlamaConfig& c = model.config;
  result["metadata"] = {{"dim", c.width},          {"hidden_dim", c.ffn},       {"n_layers", c.layers},
                        {"n_heads", c.heads},      {"n_kv_heads", c.kv_heads},  {"vocab_size", c.vocabulary},
                        {"seq_len", c.context},    {"separate_classifier", !c.tied}};
  for (const Outgoing& tensor : outgoing_tensors(model, gguf_names(), Type::f32))
    describe_tensor(result, tensor.name, "f32", tensor.shape, byte_size(tensor.type, tensor.shape));
  return result;
}

bool writes(const std::filesystem::path& path) { return path.extension() == ".bin"; }

/// The vocabulary goes beside the model under the name by which it is found again.
void save(const std::filesystem::path& path, const LlamaModel& model, Type type) {
  check(type == Type::f32, Kind::usage, "{}: llama2.c files hold f32 only, not {}", path.string(), info(type).name);
  save_llama2c(path, model);
  if (model.vocabulary.model != TokenizerModel::none)
    save_llama2c_tokenizer(path.parent_path() / fmt::format("tok{}.bin", model.config.vocabulary), model.vocabulary);
}

}  // namespace

Format llama2c_format() { return {"llama2c", accepts, load, vocabulary, describe, writes, save}; }

}  // namespace starling::core
