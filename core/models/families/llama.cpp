// Llama 2 and 3 (Touvron et al. 2023; Dubey et al. 2024), Mistral (Jiang et al. 2023) and Mixtral (Jiang et al. 2024), which
// share one name in GGUF. Its rotary pairs are interleaved there and in halves in Hugging Face checkpoints.
#include "core/models/family.h"

namespace starling::core {

Family llama_family();

Family llama_family() {
  Family f;
  f.name = "llama";
  f.classes = {"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"};
  f.imply = [](LlamaConfig& c) { c.experts_normalised = c.experts > 0; };
  f.renamed = {{"router", "block_sparse_moe.gate.weight"},
               {"expert_gate", "block_sparse_moe.experts.{}.w1.weight"},
               {"expert_up", "block_sparse_moe.experts.{}.w3.weight"},
               {"expert_down", "block_sparse_moe.experts.{}.w2.weight"}};
  f.turns_rows = true;
  return f;
}

}  // namespace starling::core
