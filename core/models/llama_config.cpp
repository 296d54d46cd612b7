// Bounds on a Llama configuration, whichever file it came from.
#include <cmath>
#include <string_view>

#include "core/models/llama.h"
#include "core/ops/attention.h"

namespace starling::core {

void validate(const LlamaConfig& config, const std::string& source) {
  // Far above every published model, and low enough that no product of three of them overflows.
  constexpr std::int64_t kLayersMax = 4096, kHeadsMax = 1 << 14, kWidthMax = 1 << 20,
                         kFfnMax = 1 << 24, kVocabularyMax = 1 << 24, kContextMax = 1 << 28;
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
  check(config.rope_divisors.empty() || static_cast<std::int64_t>(config.rope_divisors.size()) == config.head_size / 2,
        Kind::malformed, "{}: rope_divisors has {} entries for head_size {}", source, config.rope_divisors.size(),
        config.head_size);
  for (const float divisor : config.rope_divisors)
    check(divisor >= 1e-3f && std::isfinite(divisor), Kind::malformed, "{}: rope_divisors holds {}", source, divisor);
}

}  // namespace starling::core
