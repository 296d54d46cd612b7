// Rotary embeddings stretched beyond the context of their training, by the rules that files name: what they say, and
// the divisors of the frequencies that come of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace starling::core {

struct LlamaConfig;

struct RopeScaling {
  enum class Rule { none, linear, yarn, longrope };  // of llama3 only its divisors are kept, as in GGUF
  Rule rule = Rule::none;
  double factor = 1;
  std::int64_t original_context = 0;  // of the training before
  double attention_factor = 0;        // yarn, longrope: magnitude of cosine and sine; 0: as the rule has it
  double beta_fast = 32, beta_slow = 1;  // yarn
  bool truncated = true;                         // yarn: its range ends at whole pairs
  std::vector<double> short_divisors = {}, long_divisors = {};  // longrope, one for each pair

  friend bool operator==(const RopeScaling&, const RopeScaling&) = default;
};

/// Sets rope_divisors and rope_magnitude from rope_scaling for sequences of up to `positions`, which only longrope asks
/// for: up to the original context it divides by the short list, beyond it by the long one. A config that names no rule
/// keeps the divisors it has. Kind::malformed naming `source` for values that no rule can have.
void scale_rope(LlamaConfig& config, std::int64_t positions, const std::string& source);

/// Divisors of the "llama3" rule, rounded to F32 as files keep them: wavelengths beyond original_context / low_factor
/// are divided by `factor`, those below original_context / high_factor stay, between them the divisor is interpolated.
std::vector<double> llama3_divisors(std::int64_t dimensions, double rope_base, double factor, double low_factor,
                                    double high_factor, double original_context);

/// Divisors of YaRN (Peng et al. 2023).
std::vector<double> yarn_divisors(std::int64_t dimensions, double rope_base, const RopeScaling& scaling);

}  // namespace starling::core
