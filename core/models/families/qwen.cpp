// Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases of query, key and value; Qwen3 (Yang et al. 2025): every head
// of query and key normalised instead. Both also as mixtures of experts, Qwen2's with an expert that all rows pass.
#include "core/formats/json_fields.h"
#include "core/models/family.h"

namespace starling::core {

Family qwen2_family();
Family qwen2moe_family();
Family qwen3_family();
Family qwen3moe_family();

namespace {

/// Layers from max_window_layers on have the window, and only where use_sliding_window says so.
void read_windows(const JsonFields& root, LlamaConfig& c) {
  if (!root.list("layer_types").empty()) return;
  if (!root.boolean("use_sliding_window").value_or(false)) {
    c.windows.clear();
    return;
  }
  const std::int64_t first = root.integer("max_window_layers").value_or(0);
  for (std::int64_t layer = 0; layer < std::min(first, static_cast<std::int64_t>(c.windows.size())); ++layer) c.windows[static_cast<std::size_t>(layer)] = 0;
}

Family qwen(std::string_view name, std::string_view class_name) {
  Family f;
  f.name = name;
  f.classes = {class_name};
  f.read_json = read_windows;
  return f;
}

}  // namespace

Family qwen2_family() {
  Family f = qwen("qwen2", "Qwen2ForCausalLM");
  f.imply = [](LlamaConfig& c) {
    c.pairing = Pairing::halves;
    c.qkv_bias = true;
  };
  return f;
}

Family qwen2moe_family() {
  Family f = qwen("qwen2moe", "Qwen2MoeForCausalLM");
  f.imply = [](LlamaConfig& c) {
    c.pairing = Pairing::halves;
    c.qkv_bias = true;
    c.experts_normalised = false;
  };
  return f;
}

Family qwen3_family() {
  Family f = qwen("qwen3", "Qwen3ForCausalLM");
  f.imply = [](LlamaConfig& c) {
    c.pairing = Pairing::halves;
    c.qk_norm = true;
  };
  return f;
}

Family qwen3moe_family() {
  Family f = qwen("qwen3moe", "Qwen3MoeForCausalLM");
  f.imply = [](LlamaConfig& c) {
    c.pairing = Pairing::halves;
    c.qk_norm = true;
    c.experts_normalised = true;
  };
  return f;
}

}  // namespace starling::core
