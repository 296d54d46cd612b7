// The files of llama2.c (Karpathy 2023): the legacy model export and its tokenizer.bin. Neither carries a magic
// number, so a file is accepted only if its header explains every byte of it.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "core/bytes.h"
#include "core/models/llama.h"

namespace starling::core {

/// The arrays of the blocks in file order, each for all layers together.
inline constexpr std::array kLlama2cOrder{
    &LlamaBlock::attention_norm, &LlamaBlock::query,    &LlamaBlock::key,  &LlamaBlock::value, &LlamaBlock::attention_output,
    &LlamaBlock::ffn_norm,       &LlamaBlock::gate,     &LlamaBlock::down, &LlamaBlock::up};

/// The configuration of a model file. Kind::malformed unless the 28-byte header explains the exact size;
/// Kind::unsupported for the later exports (versions 1 and 2), which have a magic number.
LlamaConfig llama2c_config(Bytes file, const std::string& source);

/// The model without vocabulary; its tensors borrow `file`, kept alive by `keeper`.
LlamaModel decode_llama2c(Bytes file, std::shared_ptr<const void> keeper, const std::string& source);

/// tokenizer.bin in the terms of SentencePiece: spaces become U+2581, "\n<s>\n" the control piece <s>, <0xHH>
/// byte pieces. Encoding puts BOS and a space in front, as llama2.c does.
Vocabulary decode_llama2c_tokenizer(Bytes file, const std::string& source);

/// Writes the legacy export (always f32). Kind::unsupported if the format cannot say what the model is: other
/// rotary settings, norm epsilon, or head size than width / heads.
void save_llama2c(const std::filesystem::path& path, const LlamaModel& model);
/// Writes tokenizer.bin. Kind::unsupported unless the vocabulary is of the sentencepiece kind.
void save_llama2c_tokenizer(const std::filesystem::path& path, const Vocabulary& vocabulary);

}  // namespace starling::core
