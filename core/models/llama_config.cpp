// Bounds on a configuration, whichever file it came from.
#include <cmath>
#include <string_view>

#include "core/models/llama.h"
#include "core/ops/attention.h"

namespace starling::core {
namespace {

constexpr std::int64_t kFfnMax = 1 << 24, kContextMax = 1 << 28, kExpertsMax = 1024;

void validate_layers_and_experts(const LlamaConfig& c, const std::string& source) {
  check(c.windows.empty() || static_cast<std::int64_t>(c.windows.size()) == c.layers, Kind::malformed, "{}: {} windows for {} layers", source,
        c.windows.size(), c.layers);
  for (const std::int64_t window : c.windows)
    check(window >= 0 && window <= kContextMax, Kind::malformed, "{}: a window of {} positions", source, window);
  check(c.experts >= 0 && c.experts <= kExpertsMax, Kind::malformed, "{}: experts is {}, 0 to {} possible", source, c.experts, kExpertsMax);
  check(c.experts == 0 ? c.experts_used == 0 : c.experts_used >= 1 && c.experts_used <= c.experts, Kind::malformed, "{}: experts_used is {} of {} experts",
        source, c.experts_used, c.experts);
  check(c.shared_ffn >= 0 && c.shared_ffn <= kFfnMax && (c.experts > 0 || c.shared_ffn == 0), Kind::malformed, "{}: shared_ffn is {} beside {} experts",
        source, c.shared_ffn, c.experts);
  check(c.experts == 0 || !c.ffn_bias, Kind::malformed, "{}: ffn_bias beside {} experts", source, c.experts);
}

}  // namespace

void validate(const LlamaConfig& config, const std::string& source) {
  // Far above every published model, and low enough that no product of three of them overflows.
  constexpr std::int64_t kLayersMax = 4096, kHeadsMax = 1 << 14, kWidthMax = 1 << 20,
                         kVocabularyMax = 1 << 24;
  const auto within = [&](std::string_view field, std::int64_t value, std::int64_t most) {
    check(value >= 1 && value <= most, Kind::malformed, "{}: {} is {}, 1 to {} possible", source, field, value, most);
  };
  within("width", config.width, kWidthMax);
  within("layers", config.layers, kLayersMax);
  within("heads", config.heads, kHeadsMax);
  within("kv_heads", config.kv_heads, kHeadsMax);
  within("head_size", config.head_size, kHeadSizeMax);
  within("ffn", config.ffn, kFfnMax);
  within("vocabulary", config.vocabulary, kVocabularyMax);
  within("context", config.context, kContextMax);
  check(config.heads % config.kv_heads == 0, Kind::malformed, "{}: kv_heads {} does not divide heads {}", source,
        config.kv_heads, config.heads);
  check(config.head_size % 2 == 0, Kind::malformed, "{}: head_size {} is odd", source, config.head_size);
  check(config.norm_epsilon > 0 && config.norm_epsilon < 1, Kind::malformed, "{}: norm_epsilon is {}", source,
        config.norm_epsilon);
  check(config.rope_base >= 1 && std::isfinite(config.rope_base), Kind::malformed, "{}: rope_base is {}", source,
        config.rope_base);
  check(config.rotated >= 0 && config.rotated <= config.head_size && config.rotated % 2 == 0, Kind::malformed,
        "{}: rotated: {} dimensions of a head of {}", source, config.rotated, config.head_size);
  check(config.rope_divisors.empty() || static_cast<std::int64_t>(config.rope_divisors.size()) == config.rotated_dimensions() / 2,
        Kind::malformed, "{}: rope_divisors has {} entries for {} rotated dimensions", source, config.rope_divisors.size(),
        config.rotated_dimensions());
  for (const double divisor : config.rope_divisors)
    check(divisor >= 1e-3 && std::isfinite(divisor), Kind::malformed, "{}: rope_divisors holds {}", source, divisor);
  const auto between = [&](std::string_view field, double value, double least, double most) {
    check(value >= least && value <= most, Kind::malformed, "{}: {} is {}, {} to {} possible", source, field, value, least, most);
  };
  between("rope_magnitude", config.rope_magnitude, 1e-3, 100);
  check(config.window_rope_base == 0 || config.window_rope_base >= 1, Kind::malformed, "{}: window_rope_base is {}", source, config.window_rope_base);
  between("window_rope_base", static_cast<double>(config.window_rope_base), 0, 1e30);
  between("attention_scale", static_cast<double>(config.attention_scale), 0, 100);
  between("attention_cap", static_cast<double>(config.attention_cap), 0, 1e6);
  between("logit_cap", static_cast<double>(config.logit_cap), 0, 1e6);
  between("embedding_scale", static_cast<double>(config.embedding_scale), 1e-3, 1e6);
  validate_layers_and_experts(config, source);
}

}  // namespace starling::core
