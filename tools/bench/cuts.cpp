// `starling bench cuts`: how a pre-tokenizer cuts texts, for comparisons with other engines of regular expressions
// (tools/peer_regex.py).
#include <fstream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text/pre_tokenizer.h"
#include "tools/command.h"

namespace starling::tools::bench {
namespace {

struct CutsOptions {
  std::string name, file;
  bool json = false;
};

int run_cuts(const CutsOptions& options) {
  const core::PreTokenizer expressions(options.name);
  std::ifstream in(options.file);
  core::check(in.good(), core::Kind::missing, "{}: cannot be read", options.file);
  std::string line;
  for (std::int64_t number = 1; std::getline(in, line); ++number) {
    const auto text = nlohmann::json::parse(line, nullptr, false);
    core::check(text.is_string(), core::Kind::malformed, "{}: line {}: expected a JSON string", options.file, number);
    const auto& whole = text.get_ref<const std::string&>();
    nlohmann::json lengths = nlohmann::json::array();
    for (const std::string_view piece : expressions.split(whole)) lengths.push_back(piece.size());
    print_json(lengths);
  }
  return 0;
}

}  // namespace

std::function<int()> cuts(CLI::App& app) {
  auto options = std::make_shared<CutsOptions>();
  app.add_option("NAME", options->name, "a pre-tokenizer by GGUF's name: gpt-2, llama-bpe, qwen2, tekken, ...")->required();
  app.add_option("FILE", options->file, "texts, each a JSON string on a line of its own")->required();
  add_json_flag(app, options->json);
  return [options] { return run_cuts(*options); };
}

}  // namespace starling::tools::bench
