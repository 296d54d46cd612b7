// `starling convert`: a model from one format and element type to another.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/models/load.h"
#include "tools/command.h"
#include "tools/plan_print.h"

namespace starling::tools {
namespace {

struct ConvertOptions {
  std::string in, out, type, tokenizer;
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

int run_convert(const ConvertOptions& options) {
  std::optional<core::Type> type;
  if (!options.type.empty()) type = core::type_from_name(options.type);
  core::LoadOptions load;
  if (!options.tokenizer.empty()) load.tokenizer = options.tokenizer;
  const core::LlamaModel model = core::load_model(options.in, load);
  if (!type) type = model.blocks.front().query.type();
  core::save_model(options.out, model, *type);
  const std::uint64_t from = bytes_at(options.in), to = bytes_at(options.out);
  const std::string name(core::info(*type).name);
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
  app.add_option("--type", options->type, "f32, f16, bf16, q8_0 or q4_0 (default: as it is); rows that a block does not divide are f16");
  app.add_option("--tokenizer", options->tokenizer, "vocabulary (default: in or beside the model)");
  add_json_flag(app, options->json);
  return [options] { return run_convert(*options); };
}

}  // namespace starling::tools
