// `starling bench make-texts`: the texts of the federated quickstart, one file for every dialect (core/data/dialects.h).
#include <filesystem>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/data/dialects.h"
#include "core/file.h"
#include "tools/command.h"

namespace starling::tools::bench {
namespace {

struct Options {
  std::string out;
  std::size_t bytes = 300'000;
  std::uint64_t seed = 1;
  bool json = false;
};

int run(const Options& options) {
  std::filesystem::create_directories(options.out);
  nlohmann::json files = nlohmann::json::array();
  for (std::size_t dialect = 0; dialect < core::kDialects; ++dialect) {
    const std::filesystem::path file = std::filesystem::path(options.out) / fmt::format("{}.txt", core::dialect_name(dialect));
    const std::string text = core::dialect_text(dialect, options.bytes, options.seed);
    core::write_file(file, [&](const core::Sink& sink) { sink(std::as_bytes(std::span(text))); });
    files.push_back({{"file", file.string()}, {"bytes", text.size()}});
    if (!options.json) print(fmt::format("{}: {} bytes\n", file.string(), text.size()));
  }
  if (options.json) print_json({{"seed", options.seed}, {"files", files}});
  return 0;
}

}  // namespace

std::function<int()> make_texts(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("OUT", options->out, "folder to write, a file for every dialect")->required();
  app.add_option("--bytes", options->bytes, "of each file")->check(CLI::Range(1, 1 << 26))->capture_default_str();
  add_seed_option(app, options->seed, "of the texts");
  add_json_flag(app, options->json);
  return [options] { return run(*options); };
}

}  // namespace starling::tools::bench
