// `starling bench tokenizers`: megabytes a second that a vocabulary encodes and decodes, on one thread.
#include <algorithm>
#include <chrono>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/data/dialects.h"
#include "core/file.h"
#include "core/models/load.h"
#include "core/text/tokenizer.h"
#include "tools/command.h"

namespace starling::tools::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct TokenizersOptions {
  std::string model, text;
  int repeat = 5;
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
  std::sort(speeds.begin(), speeds.end());
  return speeds[speeds.size() / 2];
}

int run_tokenizers(const TokenizersOptions& options) {
  const auto tokenizer = core::make_tokenizer(core::load_vocabulary(options.model));
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
  add_json_flag(app, options->json);
  return [options] { return run_tokenizers(*options); };
}

}  // namespace starling::tools::bench
