// Model files to models and back, whatever the format (core/formats/all.def).
#pragma once

#include <filesystem>
#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "core/models/llama.h"

namespace starling::core {

struct LoadOptions {
  std::optional<std::filesystem::path> tokenizer;  // instead of the one in or beside the model
  bool vocabulary_optional = false;                // a model without one is returned with TokenizerModel::none
};

/// Tensors borrow from the mapped file where its layout allows. Kind::missing when a file is not there;
/// Kind::malformed when it breaks its format, or when vocabulary and embedding differ in size (both counts are
/// named); Kind::unsupported for another architecture or element type. Messages name the file and the field.
LlamaModel load_model(const std::filesystem::path& path, const LoadOptions& options = {});

/// Only the vocabulary: of a model of any architecture, or from a tokenizer file (GGUF, tokenizer.json,
/// tokenizer.model, llama2.c's tokenizer.bin).
Vocabulary load_vocabulary(const std::filesystem::path& path, const LoadOptions& options = {});

/// Writes `model` in the format that the name of `path` says: .gguf, .safetensors (or a folder, with config.json
/// and tokenizer.json beside), .bin (llama2.c). Rows that a block of `type` does not divide are f16, norms f32.
/// Kind::usage for another name or a type that the format cannot hold.
void save_model(const std::filesystem::path& path, const LlamaModel& model, Type type);
void save_gguf(const std::filesystem::path& path, const LlamaModel& model, Type type);

/// What the file holds: format, metadata, tensors (name, type, shape, bytes), totals. Also for architectures
/// and element types that this build cannot run.
nlohmann::ordered_json describe_model(const std::filesystem::path& path);

}  // namespace starling::core
