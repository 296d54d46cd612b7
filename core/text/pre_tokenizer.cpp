// Pre-token expressions under PCRE2 (UTF and UCP mode: \p{L}, \p{N} are Unicode classes, Unicode 14 in PCRE2 10.42).
// \s is written out, because PCRE2 also counts U+180E, which Unicode moved to the format characters.
#include "core/text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "core/error.h"

namespace starling::core {

namespace {

#define GPT2 R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"
#define TAIL R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define TAIL_SLASH R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define CASED_1 R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
#define CASED_2 R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
#define LLAMA3 CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})" TAIL

constexpr std::array<PreTokenizerTraits, 10> kTable = {{
    {"llama-bpe llama3 llama-v3 falcon3 pixtral lfm2", LLAMA3, true, true},
    {"dbrx smaug-bpe chatglm-bpe glm4", LLAMA3},
    {"qwen2 deepseek-r1-qwen megrez stablelm2 hunyuan", CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})" TAIL},
    {"qwen35", CONTRACTION R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"gpt-2 phi-2 mpt olmo jais exaone4 modern-bert roberta-bpe", GPT2},
    {"starcoder refact command-r smollm codeshell", R"(\p{N})" "\n" GPT2},
    {"falcon", R"([\p{P}$+<=>^~|`]+)" "\n" GPT2 "\n" "[0-9][0-9][0-9]"},
    {"tekken", CASED_1 "|" CASED_2 R"(|\p{N})" TAIL_SLASH, true, true},
    {"gpt-4o llama4", CASED_1 CONTRACTION "?|" CASED_2 CONTRACTION R"(?|\p{N}{1,3})" TAIL_SLASH},
    {"default", R"([\p{P}$+<=>^~|]+)" "\n" GPT2 "\n" R"(\p{N}+)" "\n" "[0-9][0-9][0-9]"},
}};

#undef GPT2
#undef TAIL
#undef TAIL_SLASH
#undef CONTRACTION
#undef CASED_1
#undef CASED_2
#undef LLAMA3

/// `expression` with \s and \S spelled out, inside and outside of brackets.
std::string spell_out_space(std::string_view expression) {
  constexpr std::string_view kSpace = R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c != '\\') {
      in_class = c == '[' ? true : c == ']' ? false : in_class;
      out += c;
      continue;
    }
    const char escaped = expression[++i];
    if (escaped != 's' && escaped != 'S') {
      out += {c, escaped};
    } else if (in_class) {
      ensure(escaped == 's', "pre-token expression: \\S inside a class");
      out += kSpace;
    } else {
      out.append(escaped == 's' ? "[" : "[^").append(kSpace).append("]");
    }
  }
  return out;
}

/// Calls `use` with each part of `text` between `separator`s.
template <class Use>
void for_each_part(std::string_view text, char separator, Use&& use) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    use(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace

const PreTokenizerTraits& pre_tokenizer_traits(std::string_view name) {
  if (name.empty()) name = "default";
  std::string known;
  for (const PreTokenizerTraits& row : kTable) {
    const PreTokenizerTraits* found = nullptr;
    for_each_part(row.names, ' ', [&](std::string_view part) {
      if (part == name) found = &row;
    });
    if (found) return *found;
    known.append(known.empty() ? "" : " ").append(row.names);
  }
  fail(Kind::unsupported, "vocabulary: pre-tokenizer \"{}\" is unknown; known are {}", name, known);
}

struct PreTokenizer::Stage {
  struct Free {
    void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
    void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
    void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  };

  explicit Stage(std::string_view expression) {
    const std::string spelled = spell_out_space(expression);
    int code = 0;
    PCRE2_SIZE offset = 0;
    compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelled.data()), spelled.size(), PCRE2_UTF | PCRE2_UCP, &code, &offset, nullptr));
    check(compiled != nullptr, Kind::internal, "pre-token expression: PCRE2 error {} at {} of {}", code, offset, spelled);
    // Without JIT (a kernel that forbids writable code) the same expressions run interpreted, only slower.
    pcre2_jit_compile(compiled.get(), PCRE2_JIT_COMPLETE);
  }

  void split(std::string_view text, pcre2_match_data* match, pcre2_match_context* context, std::vector<std::string_view>& out) const {
    std::size_t at = 0;
    while (at < text.size()) {
      const int found = pcre2_match(compiled.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                    PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, match, context);
      if (found == PCRE2_ERROR_NOMATCH) break;
      check(found >= 0, Kind::refused, "text: the pre-tokenizer gave up after its match limit (PCRE2 error {}, {} bytes)", found, text.size());
      const PCRE2_SIZE* span = pcre2_get_ovector_pointer(match);
      if (span[0] > at) out.push_back(text.substr(at, span[0] - at));
      out.push_back(text.substr(span[0], span[1] - span[0]));
      at = span[1];
    }
    if (at < text.size()) out.push_back(text.substr(at));
  }

  std::unique_ptr<pcre2_code, Free> compiled;
};

PreTokenizer::PreTokenizer(std::string_view name) {
  for_each_part(pre_tokenizer_traits(name).stages, '\n', [&](std::string_view expression) { stages_.push_back(std::make_unique<Stage>(expression)); });
}

PreTokenizer::~PreTokenizer() = default;

std::vector<std::string_view> PreTokenizer::split(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, Stage::Free> match(pcre2_match_data_create(1, nullptr));
  const std::unique_ptr<pcre2_match_context, Stage::Free> context(pcre2_match_context_create(nullptr));
  ensure(match && context, "PCRE2: no memory for a match");
  // Every expression is linear in the run it matches, so a few steps per byte are enough.
  pcre2_set_match_limit(context.get(), static_cast<std::uint32_t>(std::min<std::size_t>(1'000'000 + 16 * text.size(), UINT32_MAX)));
  std::vector<std::string_view> pieces{text}, cut;
  for (const auto& stage : stages_) {
    cut.clear();
    for (const std::string_view piece : pieces) stage->split(piece, match.get(), context.get(), cut);
    pieces.swap(cut);
  }
  return pieces;
}

}  // namespace starling::core
