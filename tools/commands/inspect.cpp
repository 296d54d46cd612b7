// `starling inspect`: what a model file holds.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/models/load.h"
#include "tools/command.h"
#include "tools/plan_print.h"

namespace starling::tools {
namespace {

struct Options {
  std::string file;
  bool json = false;
};

using nlohmann::ordered_json;

/// Long values (vocabularies, templates) are cut: --json has them whole.
std::string short_form(const ordered_json& value) {
  constexpr std::size_t kWidth = 80;
  std::string text = value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  if (text.size() <= kWidth) return text;
  std::size_t cut = kWidth;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;  // no half characters
  return text.substr(0, cut) + " ..." + (value.is_array() ? fmt::format(" ({} entries)", value.size()) : "");
}

void print_table(const ordered_json& file) {
  print(fmt::format("{}: {}, {}\n", file.at("file").get<std::string>(), file.at("format").get<std::string>(),
                    human_bytes(file.at("bytes").get<std::uint64_t>())));
  for (const auto& [key, value] : file.at("metadata").items()) print(fmt::format("  {} = {}\n", key, short_form(value)));
  const auto& tensors = file.at("tensors");
  std::size_t width = 0;
  for (const auto& tensor : tensors) width = std::max(width, tensor.at("name").get_ref<const std::string&>().size());
  for (const auto& tensor : tensors)
    print(fmt::format("  {:<{}}  {:<5} {:>12}  {}\n", tensor.at("name").get<std::string>(), width,
                      tensor.at("type").get<std::string>(), human_bytes(tensor.at("bytes").get<std::uint64_t>()),
                      tensor.at("shape").dump()));
  const auto& totals = file.at("totals");
  print(fmt::format("{} tensors, {} parameters, {}\n", totals.at("tensors").get<std::uint64_t>(),
                    totals.at("parameters").get<std::uint64_t>(), human_bytes(totals.at("tensor_bytes").get<std::uint64_t>())));
}

}  // namespace

std::function<int()> inspect(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("FILE", options->file, "a model file (GGUF, safetensors, llama2.c) or folder")->required();
  add_json_flag(app, options->json);
  return [options] {
    const ordered_json file = core::describe_model(options->file);
    if (options->json)
      print(file.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
    else
      print_table(file);
    return 0;
  };
}

}  // namespace starling::tools
