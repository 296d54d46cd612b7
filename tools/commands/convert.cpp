// `starling convert`: a model from one format and element type to another.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/formats/gguf_mixture.h"
#include "core/models/load.h"
#include "tools/command.h"
#include "tools/measure.h"
#include "tools/plan_print.h"

namespace starling::tools {
namespace {

struct ConvertOptions {
  std::string in, out, type, tokenizer;
  int threads = 0;
  bool json = false;
};

/// Bytes of a file, or of the files of a folder.
std::uint64_t bytes_at(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return std::filesystem::file_size(path);
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

/// One line on a terminal.
class Progress {
 public:
  Progress() : shown_(::isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  void show(std::uint64_t done, std::uint64_t total) {
    const std::uint64_t percent = done * 100 / total;
    if (shown_ && percent != percent_) fmt::print(stderr, "\r\033[K{} of {}", human_bytes(done), human_bytes(total));
    percent_ = percent;
  }

 private:
  bool shown_;
  std::uint64_t percent_ = 0;
};

bool is_gguf(const std::string& path) { return std::filesystem::path(path).extension() == ".gguf"; }

/// Quantised files are GGUF, with a mixture of types; one that is GGUF already keeps all its metadata.
void write_gguf_mixture(const ConvertOptions& options, const core::LoadOptions& load, const core::Mixture& mixture) {
  core::Pool pool(options.threads > 0 ? options.threads : describe_machine().cores);
  Progress line;
  const auto progress = [&](std::uint64_t done, std::uint64_t total) { line.show(done, total); };
  if (is_gguf(options.in) && options.tokenizer.empty())
    core::convert_gguf(options.in, options.out, mixture, pool, progress);
  else
    core::save_gguf(options.out, core::load_model(options.in, load), mixture, pool, progress);
}

std::string write_converted(const ConvertOptions& options) {
  core::LoadOptions load;
  if (!options.tokenizer.empty()) load.tokenizer = options.tokenizer;
  const core::Mixture* mixture = core::find_mixture(options.type);
  check(mixture || options.type.empty(), core::Kind::usage, "unknown element type '{}'; known: {}", options.type, core::mixture_names());
  if (mixture && is_gguf(options.out)) {
    write_gguf_mixture(options, load, *mixture);
    return options.type;
  }
  const core::LlamaModel model = core::load_model(options.in, load);
  check(!mixture || core::info(mixture->type).block_length == 1, core::Kind::usage, "{}: only GGUF files hold {}", options.out,
        options.type);
  const core::Type type = mixture ? mixture->type : model.blocks.front().query.type();
  core::save_model(options.out, model, type);
  return std::string(core::info(type).name);
}

int run_convert(const ConvertOptions& options) {
  const std::string name = write_converted(options);
  const std::uint64_t from = bytes_at(options.in), to = bytes_at(options.out);
  if (options.json)
    print_json({{"in", options.in}, {"out", options.out}, {"type", name}, {"bytes_in", from}, {"bytes_out", to}});
  else
    print(fmt::format("{}: {}, {} (from {})\n", options.out, name, human_bytes(to), human_bytes(from)));
  return 0;
}

}  // namespace

std::function<int()> convert(CLI::App& app) {
  auto options = std::make_shared<ConvertOptions>();
  app.add_option("IN", options->in, "a model: GGUF, llama2.c .bin, safetensors file or folder")->required();
  app.add_option("OUT", options->out, "what to write; the name says the format: .gguf, .safetensors, .bin")->required();
  app.add_option("--type", options->type, core::mixture_names() + " (default: as it is); rows that blocks do not divide take a type that fits");
  app.add_option("--tokenizer", options->tokenizer, "vocabulary (default: in or beside the model)");
  app.add_option("--threads", options->threads, "how many quantise (default: all cores); the file does not depend on it")
      ->check(CLI::Range(1, 1024));
  add_json_flag(app, options->json);
  return [options] { return run_convert(*options); };
}

}  // namespace starling::tools
