// A family of decoders: what it makes of the equation (llama_equation.h) and how its files say so. One file
// core/models/families/NAME.cpp and one line in all.def each; only readers and writers of files ask for it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/models/llama.h"

namespace starling::core {

class JsonFields;

/// A tensor that a family's checkpoints call otherwise than llama_parts.h says.
struct RenamedPart {
  std::string_view part;
  const char* hugging_face;
};

struct Family {
  std::string_view name;                      // general.architecture in GGUF
  std::vector<std::string_view> classes;      // architectures[0] in config.json
  /// Sets what the family implies, once the sizes and the element count of layers are known. What a file says
  /// overrides it.
  void (*imply)(LlamaConfig& config) = nullptr;
  /// Whether a layer has the model's window, where a file says only how large it is; null: every one.
  bool (*windowed)(std::int64_t layer) = nullptr;
  /// What config.json says in its own way, at the end. May be null.
  void (*read_json)(const JsonFields& root, LlamaConfig& config) = nullptr;
  std::vector<RenamedPart> renamed = {};
  bool turns_rows = false;     // GGUF keeps rotary rows interleaved, Hugging Face in halves
  bool gguf_gate_above_up = false;  // GGUF keeps both matrices in one, called ffn_up
  bool gains_less_one = false;  // Hugging Face keeps w where GGUF keeps the gain 1 + w
};

std::span<const Family> families();
/// Kind::unsupported naming `source` and the known names.
const Family& family_named(std::string_view name, const std::string& source);
const Family& family_of_class(std::string_view name, const std::string& source);

/// The family's windows: `size` in those of its layers that have one. Empty for 0.
std::vector<std::int64_t> windows_of(const Family& family, std::int64_t layers, std::int64_t size);

}  // namespace starling::core
