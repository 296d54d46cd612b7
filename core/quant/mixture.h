// Which type each tensor of a quantised file gets: the usual mixtures ("Q4_K_M" etc.), which give the tensors that
// matter most a few bits more. The rule is llama.cpp's, without importance matrices, so that files of a name agree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace starling::core {

/// Facts about a model that the rule looks at.
struct MixtureModel {
  std::string architecture;
  std::int64_t layers = 0, heads = 0, kv_heads = 0, experts = 0;
  bool has_output = true;  // output.weight; without it the embedding is the head
};

/// The type of most tensors, and which rule makes exceptions.
struct Mixture {
  std::string_view name;
  Type type;
  std::int64_t file_type;  // general.file_type of GGUF
  enum class Rule { plain, q2_k, q3_k_m, q3_k_l, q4_k_s, more_bits } rule = Rule::plain;
};

/// By its name ("q4_k_m") or that of an element type; nullptr when there is none.
const Mixture* find_mixture(std::string_view name);
/// All names, for messages and help.
std::string mixture_names();

/// Type of the tensor `name` (as GGUF calls it) of `shape`; nullopt when it is not quantised: vectors, norms,
/// routers and what is no weight.
std::optional<Type> mixed_type(const Mixture& mixture, std::string_view name, const Shape& shape, const MixtureModel& model);

}  // namespace starling::core
