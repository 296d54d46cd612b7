// `starling bench tokenizers`: megabytes a second that a vocabulary encodes and decodes, on one thread; and
// whether random texts come back from it.
#include <algorithm>
#include <chrono>
#include <random>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/data/dialects.h"
#include "core/file.h"
#include "core/models/load.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "tools/bench/median.h"
#include "tools/command.h"

namespace starling::tools::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct TokenizersOptions {
  std::string model, text;
  int repeat = 5;
  std::int64_t round_trips = 0;
  std::uint64_t seed = 1;
  bool json = false;
};

constexpr std::uint64_t kTextBytesMax = std::uint64_t{1} << 28;

/// The median over `repeat` runs of `work`, which handles `bytes`.
template <class Work>
double megabytes_per_s(int repeat, std::size_t bytes, Work&& work) {
  std::vector<double> speeds;
  for (int i = 0; i < repeat; ++i) {
    const auto from = Clock::now();
    work();
    speeds.push_back(static_cast<double>(bytes) / std::chrono::duration<double, std::micro>(Clock::now() - from).count());
  }
  return median_of(speeds);
}

/// Up to 24 characters: letters and spaces, the lower planes, and any code point but surrogates, what has no character, and
/// U+2581, which sentencepiece cannot tell from a space.
std::string random_text(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t n) { return random() % n; };
  std::string text;
  for (std::uint64_t left = below(25); left > 0; --left) {
    const std::uint64_t kind = below(4);
    char32_t c = 0;
    do c = static_cast<char32_t>(kind == 0 ? U" \n'1.aA"[below(7)] : kind == 1 ? 'a' + below(26) : kind == 2 ? 0x20 + below(0x3000) : 0x80 + below(0x10FF80));
    while ((c >= 0xD800 && c < 0xE000) || (c & 0xFFFE) == 0xFFFE || c == 0x2581);
    core::append_utf8(text, c);
  }
  return text;
}

/// Status 1 when any random text is not the same again.
int round_trips(const TokenizersOptions& options, const core::Tokenizer& tokenizer) {
  std::mt19937_64 random(options.seed);
  std::int64_t lost = 0;
  std::string first;
  for (std::int64_t i = 0; i < options.round_trips; ++i) {
    const std::string text = random_text(random);
    if (tokenizer.decode(tokenizer.encode(text)) == text) continue;
    if (lost++ == 0) first = text;
  }
  if (options.json) print_json({{"texts", options.round_trips}, {"lost", lost}, {"first_lost", first}});
  else print(fmt::format("{} of {} random texts did not come back{}\n", lost, options.round_trips, lost > 0 ? ", the first: " + nlohmann::json(first).dump() : ""));
  return lost == 0 ? 0 : 1;
}

int run_tokenizers(const TokenizersOptions& options) {
  const auto tokenizer = core::make_tokenizer(core::load_vocabulary(options.model));
  if (options.round_trips > 0) return round_trips(options, *tokenizer);
  const std::string text = options.text.empty() ? core::dialect_text(0, 1'000'000, 1) : core::read_text(options.text, kTextBytesMax);
  std::vector<core::TokenId> ids;
  std::string back;
  const double encode = megabytes_per_s(options.repeat, text.size(), [&] { ids = tokenizer->encode(text); });
  const double decode = megabytes_per_s(options.repeat, text.size(), [&] { back = tokenizer->decode(ids); });
  if (options.json)
    print_json({{"bytes", text.size()}, {"tokens", ids.size()}, {"encode_mb_per_s", encode}, {"decode_mb_per_s", decode}, {"same_text", back == text}});
  else
    print(fmt::format("{} bytes, {} tokens: encoded at {:.2f} MB/s, decoded at {:.2f} MB/s, {}\n", text.size(), ids.size(), encode, decode,
                      back == text ? "the same text again" : "another text (WordPiece keeps a normal form only)"));
  return 0;
}

}  // namespace

std::function<int()> tokenizers(CLI::App& app) {
  auto options = std::make_shared<TokenizersOptions>();
  app.add_option("MODEL", options->model, "a model or tokenizer file")->required();
  app.add_option("--text", options->text, "file to encode (default: a megabyte of generated text)");
  app.add_option("--repeat", options->repeat, "runs, of which the median counts")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--round-trips", options->round_trips, "instead: so many random texts, encoded and decoded; status 1 unless all come back")
      ->check(CLI::Range(1, 1 << 30));
  add_seed_option(app, options->seed, "of the random texts");
  add_json_flag(app, options->json);
  return [options] { return run_tokenizers(*options); };
}

}  // namespace starling::tools::bench
