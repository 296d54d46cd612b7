// The tokenizer.* keys of GGUF: the tables that reading and writing share.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "core/text/vocabulary.h"

namespace starling::core {

/// Names in tokenizer.ggml.model.
struct GgufModelName {
  TokenizerModel model;
  std::string_view name;
};
inline constexpr std::array<GgufModelName, 4> kGgufModels{{
    {TokenizerModel::none, "no_vocab"},
    {TokenizerModel::sentencepiece, "llama"},
    {TokenizerModel::byte_level_bpe, "gpt2"},
    {TokenizerModel::wordpiece, "bert"},
}};

struct GgufRole {
  std::optional<TokenId> Vocabulary::*member;
  std::string_view key;
};
inline constexpr std::array<GgufRole, 9> kGgufRoles{{
    {&Vocabulary::bos, "tokenizer.ggml.bos_token_id"},
    {&Vocabulary::eos, "tokenizer.ggml.eos_token_id"},
    {&Vocabulary::eot, "tokenizer.ggml.eot_token_id"},
    {&Vocabulary::eom, "tokenizer.ggml.eom_token_id"},
    {&Vocabulary::unknown, "tokenizer.ggml.unknown_token_id"},
    {&Vocabulary::separator, "tokenizer.ggml.seperator_token_id"},  // the format's own spelling
    {&Vocabulary::padding, "tokenizer.ggml.padding_token_id"},
    {&Vocabulary::cls, "tokenizer.ggml.cls_token_id"},
    {&Vocabulary::mask, "tokenizer.ggml.mask_token_id"},
}};

struct GgufFlag {
  std::optional<bool> Vocabulary::*member;
  std::string_view key;
};
inline constexpr std::array<GgufFlag, 6> kGgufFlags{{
    {&Vocabulary::add_bos, "tokenizer.ggml.add_bos_token"},
    {&Vocabulary::add_eos, "tokenizer.ggml.add_eos_token"},
    {&Vocabulary::add_separator, "tokenizer.ggml.add_sep_token"},
    {&Vocabulary::add_space_prefix, "tokenizer.ggml.add_space_prefix"},
    {&Vocabulary::remove_extra_whitespaces, "tokenizer.ggml.remove_extra_whitespaces"},
    {&Vocabulary::lowercase, "tokenizer.ggml.normalizer.lowercase"},
}};

/// Whether that pre-tokenizer's models take a pre-token that is in the vocabulary whole, without merging.
bool ignores_merges(std::string_view pre);

}  // namespace starling::core
