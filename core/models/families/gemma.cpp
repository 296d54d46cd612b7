// Gemma 1, 2 and 3 (Gemma Team 2024, 2024, 2025): scaled embeddings, GELU, gains stored less one; from the second on norms
// behind each part and windows in a fixed pattern of layers; soft caps in the second, normalised heads in the third.
#include <cmath>

#include "core/models/family.h"

namespace starling::core {

Family gemma_family();
Family gemma2_family();
Family gemma3_family();

namespace {

void imply_gemma(LlamaConfig& c) {
  c.pairing = Pairing::halves;
  c.gelu = true;
  c.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(c.width)));
}

/// The largest model of a generation scales scores by (D / heads)^-1/2, which GGUF does not say.
void imply_scale(LlamaConfig& c, std::int64_t layers_of_the_largest) {
  if (c.layers == layers_of_the_largest)
    c.attention_scale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.width) / static_cast<double>(c.heads)));
}

Family gemma(std::string_view name, std::vector<std::string_view> classes) {
  Family f;
  f.name = name;
  f.classes = std::move(classes);
  f.imply = imply_gemma;
  f.gains_less_one = true;
  return f;
}

const std::vector<RenamedPart> kFourNorms{{"ffn_norm", "pre_feedforward_layernorm.weight"}};

}  // namespace

Family gemma_family() { return gemma("gemma", {"GemmaForCausalLM"}); }

Family gemma2_family() {
  Family f = gemma("gemma2", {"Gemma2ForCausalLM"});
  f.imply = [](LlamaConfig& c) {
    imply_gemma(c);
    imply_scale(c, 46);
    c.post_norms = true;
    c.attention_cap = 50, c.logit_cap = 30;
    c.windows = windows_of(gemma2_family(), c.layers, 4096);
  };
  f.windowed = [](std::int64_t layer) { return layer % 2 == 0; };
  f.renamed = kFourNorms;
  return f;
}

Family gemma3_family() {
  Family f = gemma("gemma3", {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"});
  f.imply = [](LlamaConfig& c) {
    imply_gemma(c);
    imply_scale(c, 62);
    c.post_norms = c.qk_norm = true;
    c.window_rope_base = 10000;
  };
  f.windowed = [](std::int64_t layer) { return layer % 6 < 5; };
  f.renamed = kFourNorms;
  return f;
}

}  // namespace starling::core
