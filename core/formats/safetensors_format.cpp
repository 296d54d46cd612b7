// safetensors as an entry of the table of formats: a Hugging Face folder, its index, or one file of it.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/formats/describe.h"
#include "core/formats/format.h"
#include "core/formats/hugging_face.h"
#include "core/formats/json_fields.h"
#include "core/formats/llama_tensors.h"
#include "core/formats/safetensors.h"
#include "core/formats/sentencepiece_model.h"
#include "core/formats/tokenizer_json.h"
#include "core/models/family.h"

namespace starling::core {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexSuffix = ".safetensors.index.json";
constexpr std::int64_t kPaddingMax = 1024;  // embedding rows that checkpoints add behind their last token

bool is_index(const fs::path& path) { return path.filename().string().ends_with(kIndexSuffix); }

bool accepts(const fs::path& path, Bytes content) {
  if (fs::is_directory(path)) return fs::exists(path / "config.json") || fs::exists(path / "model.safetensors");
  if (is_index(path) || path.extension() == ".safetensors") return true;
  std::uint64_t length = 0;
  if (content.size() <= sizeof(length)) return false;
  std::memcpy(&length, content.data(), sizeof(length));
  return length > 1 && length <= content.size() - sizeof(length) && content[sizeof(length)] == std::byte{'{'};
}

fs::path folder_of(const fs::path& path) { return fs::is_directory(path) ? path : path.parent_path(); }

struct Part {
  std::shared_ptr<const MappedFile> file;
  Safetensors content;
};

std::vector<Part> open_parts(const fs::path& path) {
  fs::path entry = path;
  if (fs::is_directory(path)) {
    entry = path / "model.safetensors";
    if (!fs::exists(entry)) entry = path / fmt::format("model{}", kIndexSuffix);
  }
  std::vector<fs::path> files{entry};
  if (is_index(entry)) {
    files.clear();
    const auto index = MappedFile::open(entry);
    for (const auto& [tensor, file] : decode_safetensors_index(index->bytes(), index->name())) {
      const fs::path part = entry.parent_path() / file;
      if (std::find(files.begin(), files.end(), part) == files.end()) files.push_back(part);
    }
  }
  std::vector<Part> parts;
  for (const fs::path& file : files) {
    const auto mapped = MappedFile::open(file);
    parts.push_back({mapped, decode_safetensors(mapped->bytes(), mapped->name())});
  }
  return parts;
}

HuggingFaceConfig read_config(const fs::path& path) {
  const auto file = MappedFile::open(folder_of(path) / "config.json");
  return decode_config_json(file->bytes(), file->name());
}

/// The name of a tensor in a model that only reads text; nullopt for those of a model's eyes.
std::optional<std::string> of_text_model(const std::string& name) {
  for (const std::string_view eyes : {"vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."})
    if (name.starts_with(eyes)) return std::nullopt;
  constexpr std::string_view kOuter = "language_model.", kInner = "model.language_model.";
  if (name.starts_with(kOuter)) return name.substr(kOuter.size());
  return name.starts_with(kInner) ? "model." + name.substr(kInner.size()) : name;
}

/// From the order of rows and the meaning of gains in these checkpoints to ours.
void adopt_layout(LlamaModel& model) {
  const Family& family = family_named(model.config.family, model.name);
  const auto plus_one = [](Tensor& gain) {
    std::vector<float> values(gain.floats().begin(), gain.floats().end());
    for (float& value : values) value += 1;
    gain = Tensor::from_floats(gain.shape(), values);
  };
  if (family.gains_less_one) plus_one(model.ends.output_norm);
  for (LlamaBlock& block : model.blocks)
    each_part(model.config, [&](const BlockPart& part, std::int64_t copy) {
      Tensor& tensor = member(block, part, copy);
      if (family.gains_less_one && part.kind == BlockPart::Kind::gain) plus_one(tensor);
      if (!family.turns_rows || part.turn == BlockPart::Turn::none) return;
      const Shape shape = tensor.shape();
      if (part.is_vector()) tensor = tensor.reshaped({tensor.columns(), 1});
      tensor = interleave_heads(tensor, model.config.head_size).reshaped(shape);
    });
}

LlamaModel load(const fs::path& path) {
  LlamaModel model;
  model.config = read_config(path).llama;
  model.name = fs::absolute(folder_of(path)).lexically_normal().filename().string();
  std::map<std::string, std::pair<const Part*, const SafetensorsEntry*>> found;
  std::vector<std::string> present;
  const std::vector<Part> parts = open_parts(path);
  for (const Part& part : parts) {
    for (const SafetensorsEntry& entry : part.content.tensors) {
      const auto name = of_text_model(entry.name);
      if (!name) continue;
      const bool fresh = found.emplace(*name, std::pair{&part, &entry}).second;
      check(fresh, Kind::malformed, "{}: tensor {} is in two files", part.file->name(), entry.name);
      present.push_back(*name);
    }
  }
  const TensorNames names = hugging_face_names(model.config);
  find_biases(model.config, names, [&](const std::string& name) { return found.contains(name); });
  fill_tensors(model, names, [&](const std::string& name) -> std::optional<Tensor> {
    const auto at = found.find(name);
    if (at == found.end()) return std::nullopt;
    const auto& [part, entry] = at->second;
    return safetensors_tensor(*entry, part->file->bytes(), part->file, part->file->name());
  }, path.string());
  constexpr std::array<std::string_view, 1> kIgnored{".rotary_emb.inv_freq"};
  refuse_unknown_tensors(present, model.config, names, kIgnored, path.string());
  adopt_layout(model);
  return model;
}

/// Checkpoints may have more embedding rows than tokens: the rest gets names of its own.
void pad(Vocabulary& v, std::int64_t rows) {
  const auto count = static_cast<std::int64_t>(v.pieces.size());
  if (count >= rows || rows - count > kPaddingMax) return;
  for (std::int64_t i = count; i < rows; ++i) {
    v.pieces.push_back(fmt::format("[PAD{}]", i));
    if (!v.scores.empty()) v.scores.push_back(0.0f);
    if (!v.kinds.empty()) v.kinds.push_back(PieceKind::unused);
  }
}

constexpr std::uint64_t kTemplateBytesMax = std::uint64_t{1} << 20;

Vocabulary vocabulary(const fs::path& path) {
  const fs::path folder = folder_of(path);
  const HuggingFaceConfig config = read_config(path);
  const std::array<std::string, 2> names{"tokenizer.model", "tokenizer.json"};
  Vocabulary v = read_vocabulary_file(find_beside(folder, names, path.string()));
  // tokenizer.json also holds tokens that were added later.
  if (static_cast<std::int64_t>(v.pieces.size()) < config.llama.vocabulary && fs::exists(folder / names[1]))
    v = read_vocabulary_file(folder / names[1]);
  pad(v, config.llama.vocabulary);
  if (fs::exists(folder / "tokenizer_config.json")) {
    const auto settings = MappedFile::open(folder / "tokenizer_config.json");
    apply_tokenizer_config(settings->bytes(), settings->name(), v);
  }
  if (fs::exists(folder / "chat_template.jinja")) v.chat_template = read_text(folder / "chat_template.jinja", kTemplateBytesMax);
  const auto set = [&](std::optional<TokenId>& role, TokenId id) {
    check(static_cast<std::size_t>(id) < v.pieces.size(), Kind::malformed, "{}: token id {} of {} tokens",
          (folder / "config.json").string(), id, v.pieces.size());
    role = id;
  };
  if (config.bos) set(v.bos, *config.bos);
  const std::array stops{&v.eos, &v.eot, &v.eom};
  for (std::size_t i = 0; i < std::min(config.eos.size(), stops.size()); ++i) set(*stops[i], config.eos[i]);
  return v;
}

nlohmann::ordered_json describe(const fs::path& path) {
  const std::vector<Part> parts = open_parts(path);
  std::uint64_t bytes = 0;
  for (const Part& part : parts) bytes += part.file->bytes().size();
  auto result = new_description(path.string(), "safetensors", bytes);
  for (const Part& part : parts) {
    for (const auto& [key, value] : part.content.metadata) result["metadata"][key] = value;
    for (const SafetensorsEntry& entry : part.content.tensors) {
      const auto type = type_of_dtype(entry.dtype);
      describe_tensor(result, entry.name, type ? info(*type).name : std::string_view(entry.dtype), entry.shape, entry.bytes);
    }
  }
  const fs::path config = folder_of(path) / "config.json";
  if (fs::exists(config)) {
    const auto file = MappedFile::open(config);
    result["config"] = nlohmann::ordered_json::parse(parse_json_object(file->bytes(), file->name()).dump());
  }
  return result;
}

bool writes(const fs::path& path) { return path.extension() == ".safetensors" || !path.has_extension(); }

void write_text(const fs::path& path, std::string_view text) {
  write_file(path, [&](const Sink& sink) { sink(std::as_bytes(std::span(text))); });
}

void write_vocabulary(const fs::path& folder, const Vocabulary& v) {
  if (v.model == TokenizerModel::none) return;
  if (v.model == TokenizerModel::sentencepiece) {
    const auto bytes = encode_sentencepiece_model(v, folder.string());
    write_file(folder / "tokenizer.model", [&](const Sink& sink) { sink(bytes); });
  } else {
    write_text(folder / "tokenizer.json", encode_tokenizer_json(v, folder.string()));
  }
  nlohmann::ordered_json settings;
  settings["tokenizer_class"] = v.model == TokenizerModel::sentencepiece ? "LlamaTokenizer" : "PreTrainedTokenizerFast";
  if (v.add_bos) settings["add_bos_token"] = *v.add_bos;
  if (v.add_eos) settings["add_eos_token"] = *v.add_eos;
  const auto name = [&](const char* key, const std::optional<TokenId>& id) {
    if (id) settings[key] = printable(v.pieces[static_cast<std::size_t>(*id)]);
  };
  name("bos_token", v.bos);
  name("eos_token", v.eos);
  name("unk_token", v.unknown);
  if (!v.chat_template.empty()) settings["chat_template"] = printable(v.chat_template);
  write_text(folder / "tokenizer_config.json", settings.dump(2) + "\n");
}

void save(const fs::path& path, const LlamaModel& model, Type type) {
  check(type == Type::f32 || type == Type::f16 || type == Type::bf16, Kind::usage,
        "{}: safetensors cannot hold {}, only f32, f16 and bf16", path.string(), info(type).name);
  const bool one_file = path.extension() == ".safetensors";
  const fs::path folder = one_file ? path.parent_path() : path;
  if (!one_file) fs::create_directories(folder);
  const auto config = encode_config_json(model.config, model.vocabulary, type, path.string());
  const auto order = [&](std::int64_t) { return rows_to_hugging_face(model.config.head_size); };
  write_safetensors(one_file ? path : folder / "model.safetensors", {{"format", "pt"}},
                    outgoing_tensors(model, hugging_face_names(model.config), type, order));
  write_text(folder / "config.json", config);
  write_vocabulary(folder, model.vocabulary);
}

}  // namespace

Format safetensors_format() { return {"safetensors", accepts, load, vocabulary, describe, writes, save}; }

}  // namespace starling::core
