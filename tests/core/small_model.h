// Small models with planted numbers for tests of files, and a folder that cleans up after itself.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/formats/llama_tensors.h"
#include "core/models/llama.h"
#include "core/quant/blocks.h"

namespace starling::tests {

class Folder {
 public:
  Folder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() / fmt::format("starling-test-{}-{}", ::getpid(), count++);
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// 272 pieces: unknown, BOS, EOS, every byte, and some words.
inline core::Vocabulary small_vocabulary() {
  using core::PieceKind;
  core::Vocabulary v;
  v.model = core::TokenizerModel::sentencepiece;
  const auto add = [&](std::string piece, float score, PieceKind kind) {
    v.pieces.push_back(std::move(piece));
    v.scores.push_back(score);
    v.kinds.push_back(kind);
  };
  add("<unk>", 0, PieceKind::unknown);
  add("<s>", 0, PieceKind::control);
  add("</s>", 0, PieceKind::control);
  for (int i = 0; i < 256; ++i) add(fmt::format("<0x{:02X}>", i), 0, PieceKind::byte);
  for (int i = 0; i < 13; ++i) add(std::string("\xe2\x96\x81") + static_cast<char>('a' + i), static_cast<float>(-i), PieceKind::normal);
  v.bos = 1;
  v.eos = 2;
  v.unknown = 0;
  v.add_bos = true;
  v.add_eos = false;
  v.add_space_prefix = true;
  v.remove_extra_whitespaces = false;
  return v;
}

/// Two layers of width 32 with 4 heads on 2 kv heads; fields of `config` that are set replace the defaults.
inline core::LlamaModel small_model(core::LlamaConfig config) {
  const auto fill = [](std::int64_t& field, std::int64_t value) { field = field == 0 ? value : field; };
  const bool plain = config.head_size == 0;
  fill(config.width, 32);
  fill(config.layers, 2);
  fill(config.heads, 4);
  fill(config.kv_heads, 2);
  fill(config.head_size, 8);
  fill(config.ffn, 96);
  fill(config.vocabulary, 272);
  fill(config.context, 64);
  if (plain) config.tied = true;
  core::LlamaModel model;
  model.name = "small";
  model.config = config;
  model.vocabulary = small_vocabulary();
  int tensor = 0;
  const auto planted = [&](const core::Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(core::element_count(shape)));
    ++tensor;
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(static_cast<int>((i * 37 + static_cast<std::size_t>(tensor) * 11) % 101) - 50) / 64.0f;
    return core::Tensor::from_floats(shape, values);
  };
  model.ends.embedding = planted({config.vocabulary, config.width});
  model.ends.output_norm = planted({config.width});
  model.ends.output = config.tied ? model.ends.embedding : planted({config.vocabulary, config.width});
  model.blocks.resize(static_cast<std::size_t>(config.layers));
  for (core::LlamaBlock& block : model.blocks) {
    block.experts.resize(static_cast<std::size_t>(config.experts));
    core::each_part(config, [&](const core::BlockPart& part, std::int64_t copy) {
      core::member(block, part, copy) = planted(core::part_shape(part, config, core::whole(config)));
    });
  }
  return model;
}

inline bool same_numbers(const core::Tensor& a, const core::Tensor& b) {
  const core::Tensor x = core::to_float(a), y = core::to_float(b);
  return x.shape() == y.shape() && std::equal(x.bytes().begin(), x.bytes().end(), y.bytes().begin(), y.bytes().end());
}

inline bool same_numbers(const core::LlamaModel& a, const core::LlamaModel& b) {
  if (!same_numbers(a.ends.embedding, b.ends.embedding) || !same_numbers(a.ends.output_norm, b.ends.output_norm) ||
      !same_numbers(a.ends.output, b.ends.output) || a.blocks.size() != b.blocks.size())
    return false;
  bool same = true;
  for (std::size_t i = 0; i < a.blocks.size(); ++i)
    core::each_part(a.config, [&](const core::BlockPart& part, std::int64_t copy) {
      same = same && same_numbers(core::member(a.blocks[i], part, copy), core::member(b.blocks[i], part, copy));
    });
  return same;
}

}  // namespace starling::tests
