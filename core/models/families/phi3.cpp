// Phi-3, 3.5 and 4 (Abdin et al. 2024): Llama with query, key and value in one matrix, gate and up in another, rotary
// embeddings of a part of each head, and longrope.
#include "core/models/family.h"

namespace starling::core {

Family phi3_family();

Family phi3_family() {
  Family f;
  f.name = "phi3";
  f.classes = {"Phi3ForCausalLM"};
  f.gguf_gate_above_up = true;
  f.imply = [](LlamaConfig& c) { c.pairing = Pairing::halves; };
  return f;
}

}  // namespace starling::core
