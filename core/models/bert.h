// Encoders of the BERT kind (Devlin et al. 2019), which turn a text into one vector: their configuration, weights and forward
// pass, on one node. Decoders are in llama.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/pool.h"
#include "core/tensor.h"
#include "core/text/vocabulary.h"

namespace starling::core {

/// How a text's vector comes of those of its tokens.
enum class Pooling { mean, first };

struct BertConfig {
  std::int64_t width = 0, layers = 0, heads = 0, ffn = 0;
  std::int64_t vocabulary = 0;
  std::int64_t context = 0;  // positions that have an embedding
  float norm_epsilon = 1e-12f;
  Pooling pooling = Pooling::mean;

  friend bool operator==(const BertConfig&, const BertConfig&) = default;
};

/// Kind::malformed naming the field when a value is impossible.
void validate(const BertConfig& config, const std::string& source);

/// A weight and its bias: of a product (out x in) or of a norm.
struct Affine {
  Tensor weight, bias;
};

struct BertBlock {
  Affine query, key, value, output, attention_norm;
  Affine up, down, ffn_norm;
};

struct BertModel {
  std::string name;
  BertConfig config;
  Tensor tokens, positions, types;  // embeddings: {vocabulary, D}, {context, D}, {kinds of texts, D}
  Affine embedding_norm;
  std::vector<BertBlock> blocks;
  Vocabulary vocabulary;
};

/// Whether `path` holds an encoder of this kind.
bool is_bert(const std::filesystem::path& path);

/// From GGUF (architecture "bert") or a Hugging Face folder (class BertModel). Kind::malformed or Kind::unsupported naming
/// the file and the field.
BertModel load_bert(const std::filesystem::path& path);

/// Kind::usage for a text without tokens, with more than the context has, or with ids outside the vocabulary.
void check_text(const BertConfig& config, std::span<const TokenId> text);

/// The vectors of all tokens after the last block, {tokens of all texts, D}, text by text. A text's have the same bits in any
/// batch and on any number of threads. Checks every text.
std::vector<float> encode(const BertModel& model, std::span<const std::span<const TokenId>> texts, Pool& pool);

/// Each text's vector, of length one: {D}.
std::vector<std::vector<float>> embeddings(const BertModel& model, std::span<const std::span<const TokenId>> texts, Pool& pool);

}  // namespace starling::core
