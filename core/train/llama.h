// The trainable Llama and the one of inference are the same model: what shape the options give it, and how trained values
// become a model that inference runs and files hold (models/load.h: save_gguf).
#pragma once

#include <span>

#include "core/models/llama.h"
#include "core/train/model.h"

namespace starling::core {

/// By default a width of 128, 4 layers, heads of 32 values of which two share keys and values, a feed-forward part of
/// 8/3 of the width. Kind::usage naming the option that does not fit the others.
LlamaConfig llama_config(const ModelOptions& options);

/// `values` of the model "llama" of these options, in the order of its layout, copied. Kind::usage for another number
/// of values, or of pieces than the options have classes.
LlamaModel trained_llama(const ModelOptions& options, std::span<const float> values, Vocabulary vocabulary);

}  // namespace starling::core
