// `starling bench make-texts`: the texts of the federated quickstart, one file for every dialect (core/data/dialects.h).
#include <filesystem>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/data/dialects.h"
#include "core/file.h"
#include "tools/command.h"

namespace starling::tools::bench {
namespace {

struct MakeTextsOptions {
  std::string out;
  std::size_t bytes = 300'000;
  std::uint64_t seed = 1;
  bool apart = false, json = false;
};

void write_text(const std::filesystem::path& file, const std::string& text) {
  core::write_file(file, [&](const core::Sink& sink) { sink(std::as_bytes(std::span(text))); });
}

int run_make_texts(const MakeTextsOptions& options) {
  nlohmann::json files = nlohmann::json::array();
  for (std::size_t dialect = 0; dialect < core::kDialects; ++dialect) {
    const std::string name(core::dialect_name(dialect));
    const std::filesystem::path out = options.out, folder = options.apart ? out / name : out;
    std::filesystem::create_directories(folder);
    const std::filesystem::path file = folder / (name + ".txt");
    const std::string text = core::dialect_text(dialect, options.bytes, options.seed);
    write_text(file, text);
    write_text(out / (name + ".words"), fmt::format("{}\n", fmt::join(core::dialect_words(dialect), "\n")));
    files.push_back({{"file", file.string()}, {"bytes", text.size()}});
    if (!options.json) print(fmt::format("{}: {} bytes\n", file.string(), text.size()));
  }
  if (options.json) print_json({{"seed", options.seed}, {"files", files}});
  return 0;
}

}  // namespace

std::function<int()> make_texts(CLI::App& app) {
  auto options = std::make_shared<MakeTextsOptions>();
  app.add_option("OUT", options->out, "folder to write: a text for every dialect, and a list of the words that it alone has")->required();
  app.add_flag("--apart", options->apart, "each text in a folder of its own, for nodes that see no other");
  app.add_option("--bytes", options->bytes, "of each file")->check(CLI::Range(1, 1 << 26))->capture_default_str();
  add_seed_option(app, options->seed, "of the texts");
  add_json_flag(app, options->json);
  return [options] { return run_make_texts(*options); };
}

}  // namespace starling::tools::bench
