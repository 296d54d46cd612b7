#include "core/models/load.h"

#include <nlohmann/json.hpp>
#include <string>

#include "core/formats/format.h"
#include "core/models/bert.h"

namespace starling::core {
namespace {

Vocabulary vocabulary_of(const Format& format, const std::filesystem::path& path, const LoadOptions& options) {
  if (options.tokenizer) return read_vocabulary_file(*options.tokenizer);
  if (!options.vocabulary_optional) return format.vocabulary(path);
  try {
    return format.vocabulary(path);
  } catch (const Error& error) {
    if (error.kind() != Kind::missing) throw;
    return {};
  }
}

bool is_tokenizer_file(const std::filesystem::path& path) {
  const bool named = path.filename().string().starts_with("tok");
  return !std::filesystem::is_directory(path) &&
         (path.extension() == ".model" || (named && (path.extension() == ".bin" || path.extension() == ".json")));
}

const Format& format_to_write(const std::filesystem::path& path) {
  std::string known;
  for (const Format& format : formats()) {
    if (format.writes(path)) return format;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", format.name);
  }
  fail(Kind::usage, "{}: the name says no format that can be written; known: {}", path.string(), known);
}

}  // namespace

LlamaModel load_model(const std::filesystem::path& path, const LoadOptions& options) {
  const Format& format = format_of(path);
  LlamaModel model = format.load(path);
  if (options.tokenizer || model.vocabulary.model == TokenizerModel::none)
    model.vocabulary = vocabulary_of(format, path, options);
  if (model.vocabulary.model == TokenizerModel::none) return model;
  check(static_cast<std::int64_t>(model.vocabulary.pieces.size()) == model.config.vocabulary, Kind::malformed,
        "{}: the tokenizer{} has {} tokens, the model's embedding {}: they do not belong together", path.string(),
        options.tokenizer ? fmt::format(" {}", options.tokenizer->string()) : std::string(), model.vocabulary.pieces.size(),
        model.config.vocabulary);
  return model;
}

Vocabulary load_vocabulary(const std::filesystem::path& path, const LoadOptions& options) {
  if (!options.tokenizer && is_tokenizer_file(path)) return read_vocabulary_file(path);
  if (!options.tokenizer && std::filesystem::is_directory(path) && is_bert(path)) return read_vocabulary_file(path / "tokenizer.json");
  return vocabulary_of(format_of(path), path, options);
}

void save_model(const std::filesystem::path& path, const LlamaModel& model, Type type) {
  format_to_write(path).save(path, model, type);
}

void save_gguf(const std::filesystem::path& path, const LlamaModel& model, Type type) {
  for (const Format& format : formats())
    if (format.name == "gguf") return format.save(path, model, type);
  fail(Kind::internal, "the table of formats has no gguf");
}

nlohmann::ordered_json describe_model(const std::filesystem::path& path) { return format_of(path).describe(path); }

}  // namespace starling::core
