// Small encoders for tests: planted weights in the layouts that files have, and the texts of tests/golden/encoder_texts.json.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/formats/gguf.h"
#include "core/formats/outgoing.h"
#include "core/formats/safetensors.h"
#include "core/models/bert.h"
#include "tests/oracle/small_llama.h"

namespace starling::tests {

/// The folder of a golden case: its settings and its planted tensors.
inline void write_encoder(const std::filesystem::path& folder, const nlohmann::json& c) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << c["config"];
  std::vector<core::Outgoing> tensors;
  for (const auto& [name, shape] : c["tensors"].items()) tensors.push_back(core::outgoing(name, planted_tensor(name, shape.get<core::Shape>()), core::Type::f32));
  core::write_safetensors(folder / "model.safetensors", {}, tensors);
}

/// The model as GGUF has it.
inline void write_encoder_gguf(const std::filesystem::path& path, const core::BertModel& m, std::int64_t pooling, const core::GgufMetadata& more = {}) {
  const core::BertConfig& c = m.config;
  core::GgufMetadata metadata = more;
  const auto count = [&](const char* key, std::int64_t value) { metadata.emplace_back(key, core::GgufValue{core::GgufType::u32, false, value}); };
  metadata.emplace_back("general.architecture", core::GgufValue{core::GgufType::string, false, std::string("bert")});
  count("bert.embedding_length", c.width), count("bert.block_count", c.layers), count("bert.attention.head_count", c.heads);
  count("bert.feed_forward_length", c.ffn), count("bert.context_length", c.context), count("bert.pooling_type", pooling);
  metadata.emplace_back("bert.attention.layer_norm_epsilon", core::GgufValue{core::GgufType::f32, false, static_cast<double>(c.norm_epsilon)});
  std::vector<core::Outgoing> tensors{core::outgoing("token_embd.weight", m.tokens, core::Type::f32), core::outgoing("position_embd.weight", m.positions, core::Type::f32),
                                core::outgoing("token_types.weight", m.types, core::Type::f32)};
  const auto add = [&](const std::string& name, const core::Affine& a) {
    tensors.push_back(core::outgoing(name + ".weight", a.weight, core::Type::f32));
    tensors.push_back(core::outgoing(name + ".bias", a.bias, core::Type::f32));
  };
  add("token_embd_norm", m.embedding_norm);
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const core::BertBlock& b = m.blocks[i];
    const std::string blk = "blk." + std::to_string(i) + ".";
    add(blk + "attn_q", b.query), add(blk + "attn_k", b.key), add(blk + "attn_v", b.value), add(blk + "attn_output", b.output);
    add(blk + "attn_output_norm", b.attention_norm), add(blk + "ffn_up", b.up), add(blk + "ffn_down", b.down), add(blk + "layer_output_norm", b.ffn_norm);
  }
  core::write_gguf(path, metadata, tensors);
}

inline nlohmann::json encoder_texts() {
  return nlohmann::json::parse(core::read_text(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden/encoder_texts.json", 1 << 20));
}

/// The folder as sentence-transformers saves it, `pooling` being mean or first.
inline void write_text_encoder(const std::filesystem::path& folder, const nlohmann::json& golden, const std::string& pooling) {
  write_encoder(folder, golden);
  std::filesystem::create_directories(folder / "1_Pooling");
  std::ofstream(folder / "1_Pooling/config.json") << golden["pooling"][pooling];
  std::ofstream(folder / "modules.json") << golden["modules"];
  std::ofstream(folder / "tokenizer.json") << golden["tokenizer"];
}

}  // namespace starling::tests
