// Encoders from GGUF files and Hugging Face folders.
#include <functional>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/formats/format.h"
#include "core/formats/gguf_fields.h"
#include "core/formats/gguf_llama.h"
#include "core/formats/json_fields.h"
#include "core/formats/safetensors.h"
#include "core/formats/tokenizer_json.h"
#include "core/models/bert.h"
#include "core/quant/blocks.h"

namespace starling::core {
namespace {

namespace fs = std::filesystem;

using Find = std::function<std::optional<Tensor>(const std::string& name)>;

/// A tensor's name in both layouts; {} is the layer.
struct Name {
  const char* gguf;
  const char* hugging_face;
};
constexpr Name kTokens{"token_embd", "embeddings.word_embeddings"}, kPositions{"position_embd", "embeddings.position_embeddings"},
    kTypes{"token_types", "embeddings.token_type_embeddings"}, kEmbeddingNorm{"token_embd_norm", "embeddings.LayerNorm"};

class Filler {
 public:
  Filler(BertModel& model, bool gguf, Find find, std::string source) : model_(model), gguf_(gguf), find_(std::move(find)), source_(std::move(source)) {}

  void fill() {
    const std::int64_t d = model_.config.width, f = model_.config.ffn;
    model_.tokens = expect(name(kTokens, 0, "weight"), {model_.config.vocabulary, d});
    model_.positions = expect(name(kPositions, 0, "weight"), {model_.config.context, d});
    const std::string types = name(kTypes, 0, "weight");
    const auto stored = find_(types);
    check(stored && !stored->shape().empty() && stored->columns() == d && stored->rows() >= 1, Kind::malformed, "{}: tensor {} is missing or has no rows of {}", source_, types, d);
    model_.types = stored->reshaped({stored->rows(), d});
    model_.embedding_norm = norm(kEmbeddingNorm, 0);
    for (std::int64_t layer = 0; layer < model_.config.layers; ++layer)
      model_.blocks.push_back({.query = affine({"attn_q", "attention.self.query"}, layer, d, d),
                               .key = affine({"attn_k", "attention.self.key"}, layer, d, d),
                               .value = affine({"attn_v", "attention.self.value"}, layer, d, d),
                               .output = affine({"attn_output", "attention.output.dense"}, layer, d, d),
                               .attention_norm = norm({"attn_output_norm", "attention.output.LayerNorm"}, layer),
                               .up = affine({"ffn_up", "intermediate.dense"}, layer, f, d),
                               .down = affine({"ffn_down", "output.dense"}, layer, d, f),
                               .ffn_norm = norm({"layer_output_norm", "output.LayerNorm"}, layer)});
  }

 private:
  std::string name(const Name& n, std::int64_t layer, const char* end) const {
    const bool of_block = n.hugging_face != kTokens.hugging_face && n.hugging_face != kPositions.hugging_face && n.hugging_face != kTypes.hugging_face &&
                          n.hugging_face != kEmbeddingNorm.hugging_face;
    const std::string prefix = !of_block ? "" : gguf_ ? fmt::format("blk.{}.", layer) : fmt::format("encoder.layer.{}.", layer);
    return fmt::format("{}{}.{}", prefix, gguf_ ? n.gguf : n.hugging_face, end);
  }
  Tensor expect(const std::string& wanted, const Shape& shape) const {
    const auto tensor = find_(wanted);
    check(tensor.has_value(), Kind::malformed, "{}: tensor {} is missing", source_, wanted);
    check(tensor->shape() == shape, Kind::malformed, "{}: tensor {} has shape [{}], the configuration asks for [{}]", source_, wanted,
          fmt::join(tensor->shape(), ", "), fmt::join(shape, ", "));
    return *tensor;
  }
  Affine affine(const Name& n, std::int64_t layer, std::int64_t rows, std::int64_t columns) const {
    return {expect(name(n, layer, "weight"), {rows, columns}), to_float(expect(name(n, layer, "bias"), {rows}))};
  }
  Affine norm(const Name& n, std::int64_t layer) const {
    const Shape shape{model_.config.width};
    return {to_float(expect(name(n, layer, "weight"), shape)), to_float(expect(name(n, layer, "bias"), shape))};
  }

  BertModel& model_;
  bool gguf_;
  Find find_;
  std::string source_;
};

BertModel from_gguf(const fs::path& path) {
  const auto mapped = MappedFile::open(path);
  const Gguf file = decode_gguf(mapped->bytes(), mapped->name());
  const GgufFields fields(file, mapped->name());
  const auto architecture = fields.text("general.architecture").value_or("");
  check(architecture == "bert", Kind::unsupported, "{}: general.architecture: '{}' is no encoder that is supported, only bert", mapped->name(), architecture);
  BertModel model;
  BertConfig& c = model.config;
  c.width = fields.required_integer("bert.embedding_length");
  c.layers = fields.required_integer("bert.block_count");
  c.heads = fields.required_integer("bert.attention.head_count");
  c.ffn = fields.required_integer("bert.feed_forward_length");
  c.context = fields.required_integer("bert.context_length");
  c.norm_epsilon = static_cast<float>(fields.real("bert.attention.layer_norm_epsilon").value_or(1e-12));
  const auto pooling = fields.integer("bert.pooling_type").value_or(1);
  check(pooling == 1 || pooling == 2, Kind::unsupported, "{}: bert.pooling_type: {} is not supported, only 1 (mean) and 2 (first)", mapped->name(), pooling);
  c.pooling = pooling == 1 ? Pooling::mean : Pooling::first;
  model.vocabulary = gguf_vocabulary(file, mapped->name());
  const GgufTensor* tokens = file.find_tensor("token_embd.weight");
  c.vocabulary = tokens && !tokens->shape.empty() ? tokens->shape.front() : 0;
  validate(c, mapped->name());
  model.name = fields.text("general.name").value_or(path.stem().string());
  const auto find = [&](const std::string& name) -> std::optional<Tensor> {
    const GgufTensor* tensor = file.find_tensor(name);
    return tensor ? std::optional(gguf_tensor(*tensor, mapped->bytes(), mapped, mapped->name())) : std::nullopt;
  };
  Filler(model, true, find, mapped->name()).fill();
  return model;
}

/// sentence-transformers keep beside the model which of its rows become the text's vector; they take the mean by default.
Pooling pooling_of(const fs::path& folder) {
  const fs::path path = folder / "1_Pooling/config.json";
  if (!fs::exists(path)) return Pooling::mean;
  const auto file = MappedFile::open(path);
  const nlohmann::json parsed = parse_json_object(file->bytes(), file->name());
  const JsonFields root(parsed, file->name());
  constexpr const char* kRefused = "{}: only the mean and the first token's vector are supported";
  if (const auto mode = root.text("pooling_mode")) {  // since version 6
    check(*mode == "mean" || *mode == "cls", Kind::unsupported, kRefused, file->name());
    return *mode == "cls" ? Pooling::first : Pooling::mean;
  }
  const bool first = root.boolean("pooling_mode_cls_token").value_or(false), mean = root.boolean("pooling_mode_mean_tokens").value_or(!first);
  bool other = first == mean;
  for (const auto& [key, value] : parsed.items())
    other = other || (key.starts_with("pooling_mode_") && key != "pooling_mode_cls_token" && key != "pooling_mode_mean_tokens" && value == true);
  check(!other, Kind::unsupported, kRefused, file->name());
  return first ? Pooling::first : Pooling::mean;
}

/// What else they do with a text's vector has to be nothing, or to make it one of length one.
void check_modules(const fs::path& folder) {
  const fs::path path = folder / "modules.json";
  if (!fs::exists(path)) return;
  const std::string text = read_text(path, 1 << 20);
  const nlohmann::json modules = nlohmann::json::parse(text, nullptr, false);
  check(modules.is_array(), Kind::malformed, "{}: no list of modules", path.string());
  for (const nlohmann::json& module : modules) {
    const std::string type = JsonFields(module, path.string(), "module").required_text("type"), last = type.substr(type.rfind('.') + 1);
    check(last == "Transformer" || last == "Pooling" || last == "Normalize", Kind::unsupported, "{}: the module '{}' is not supported", path.string(), type);
  }
}

BertModel from_folder(const fs::path& folder) {
  const auto settings = MappedFile::open(folder / "config.json");
  const nlohmann::json parsed = parse_json_object(settings->bytes(), settings->name());
  const JsonFields root(parsed, settings->name());
  const std::string activation = root.text("hidden_act").value_or("gelu"), places = root.text("position_embedding_type").value_or("absolute");
  check(activation == "gelu", Kind::unsupported, "{}: hidden_act: '{}' is not supported, only gelu", settings->name(), activation);
  check(places == "absolute", Kind::unsupported, "{}: position_embedding_type: '{}' is not supported, only absolute", settings->name(), places);
  BertModel model;
  BertConfig& c = model.config;
  c.width = root.required_integer("hidden_size");
  c.layers = root.required_integer("num_hidden_layers");
  c.heads = root.required_integer("num_attention_heads");
  c.ffn = root.required_integer("intermediate_size");
  c.vocabulary = root.required_integer("vocab_size");
  c.context = root.required_integer("max_position_embeddings");
  c.norm_epsilon = static_cast<float>(root.real("layer_norm_eps").value_or(1e-12));
  check_modules(folder);
  c.pooling = pooling_of(folder);
  validate(c, settings->name());
  model.name = fs::absolute(folder).lexically_normal().filename().string();
  if (fs::exists(folder / "tokenizer.json")) model.vocabulary = read_vocabulary_file(folder / "tokenizer.json");
  const auto mapped = MappedFile::open(folder / "model.safetensors");
  const Safetensors content = decode_safetensors(mapped->bytes(), mapped->name());
  const auto find = [&](const std::string& name) -> std::optional<Tensor> {
    for (const SafetensorsEntry& entry : content.tensors)
      if (entry.name == name || entry.name == "bert." + name) return safetensors_tensor(entry, mapped->bytes(), mapped, mapped->name());
    return std::nullopt;
  };
  Filler(model, false, find, mapped->name()).fill();
  return model;
}

}  // namespace

bool is_bert(const fs::path& path) {
  if (fs::is_directory(path)) {
    if (!fs::exists(path / "config.json")) return false;
    const auto file = MappedFile::open(path / "config.json");
    const nlohmann::json parsed = parse_json_object(file->bytes(), file->name());
    return JsonFields(parsed, file->name()).text("model_type").value_or("") == "bert";
  }
  if (path.extension() != ".gguf") return false;
  const auto file = MappedFile::open(path);
  const Gguf content = decode_gguf(file->bytes(), file->name());
  return GgufFields(content, file->name()).text("general.architecture").value_or("") == "bert";
}

BertModel load_bert(const fs::path& path) { return fs::is_directory(path) ? from_folder(path) : from_gguf(path); }

}  // namespace starling::core
