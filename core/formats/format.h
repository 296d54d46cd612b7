// A model file format: how it is recognised, read, described and written. One file core/formats/<name>_format.cpp
// and one line in all.def each.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/bytes.h"
#include "core/models/llama.h"

namespace starling::core {

struct Format {
  std::string_view name;
  /// Whether `path` looks like this format: by its content where there is a magic number. `content` is the
  /// whole file, empty for a folder.
  bool (*accepts)(const std::filesystem::path& path, Bytes content);
  /// The model; its vocabulary is `none` when the file holds none.
  LlamaModel (*load)(const std::filesystem::path& path);
  /// The vocabulary that belongs to the model at `path`: in the file or beside it. Kind::missing naming what was
  /// looked for.
  Vocabulary (*vocabulary)(const std::filesystem::path& path);
  nlohmann::ordered_json (*describe)(const std::filesystem::path& path);
  /// Whether a model is written in this format to a path of that name.
  bool (*writes)(const std::filesystem::path& path);
  void (*save)(const std::filesystem::path& path, const LlamaModel& model, Type type);
};

std::span<const Format> formats();

/// The format of an existing file or folder. Kind::missing, or Kind::malformed with the list of known formats.
const Format& format_of(const std::filesystem::path& path);

/// A vocabulary from a file of its own: GGUF, tokenizer.json, tokenizer.model or llama2.c's tokenizer.bin.
Vocabulary read_vocabulary_file(const std::filesystem::path& path);

/// The first of `names` that exists in `folder`. Kind::missing with the list otherwise.
std::filesystem::path find_beside(const std::filesystem::path& folder, std::span<const std::string> names,
                                  const std::string& wanted_for);

}  // namespace starling::core
