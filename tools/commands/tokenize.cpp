// `starling tokenize`: text to token ids and back; needs only a vocabulary.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/models/load.h"
#include "core/text/tokenizer.h"
#include "tools/command.h"
#include "tools/token_ids.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;
using core::TokenId;

constexpr std::uint64_t kTextBytesMax = std::uint64_t{1} << 30;

struct TokenizeOptions {
  std::string model, tokenizer, prompt, prompt_file, ids;
  CLI::Option *has_prompt = nullptr, *has_file = nullptr, *has_ids = nullptr;
  bool no_special = false, json = false;
};

int run_tokenize(const TokenizeOptions& options) {
  const auto given = options.has_prompt->count() + options.has_file->count() + options.has_ids->count();
  check(given == 1, Kind::usage, "give one of --prompt, --prompt-file and --decode");
  core::LoadOptions load;
  if (!options.tokenizer.empty()) load.tokenizer = options.tokenizer;
  const auto tokenizer = core::make_tokenizer(core::load_vocabulary(options.model, load));
  if (options.has_ids->count() > 0) {
    const std::string text = tokenizer->decode(parse_ids(options.ids, "--decode"));
    options.json ? print_json({{"text", text}}) : print(text);
    return 0;
  }
  core::EncodeOptions encode;
  encode.add_special = !options.no_special;
  const auto ids = tokenizer->encode(
      options.has_file->count() > 0 ? core::read_text(options.prompt_file, kTextBytesMax) : options.prompt, encode);
  options.json ? print_json({{"token_ids", ids}, {"tokens", ids.size()}}) : print(fmt::format("{}\n", fmt::join(ids, " ")));
  return 0;
}

}  // namespace

std::function<int()> tokenize(CLI::App& app) {
  auto options = std::make_shared<TokenizeOptions>();
  app.add_option("MODEL", options->model, "a model or tokenizer file")->required();
  options->has_prompt = app.add_option("--prompt", options->prompt, "text to encode");
  options->has_file = app.add_option("--prompt-file", options->prompt_file, "file whose text to encode");
  options->has_ids = app.add_option("--decode", options->ids, "token ids to turn into text, as 1,2,3: exactly its bytes are written");
  app.add_option("--tokenizer", options->tokenizer, "vocabulary (default: in or beside the model)");
  app.add_flag("--no-special", options->no_special, "add no begin or end token");
  add_json_flag(app, options->json);
  return [options] { return run_tokenize(*options); };
}

}  // namespace starling::tools
