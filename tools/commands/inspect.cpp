// `starling inspect`: what a model file holds, how an experiment deals its data, what came of a run.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/models/load.h"
#include "tools/command.h"
#include "tools/plan_print.h"
#include "tools/report/comparison.h"
#include "tools/report/distribution.h"
#include "tools/report/run_folder.h"
#include "tools/report/text.h"

namespace starling::tools {
namespace {

struct InspectOptions {
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

ordered_json describe_experiment(const Experiment& e, const Distribution& d) {
  ordered_json json{{"experiment", e.name},      {"seed", e.seed},       {"strategy", e.strategy.name},
                    {"model", e.model.name}, {"data", e.data.name}, {"partition", e.partition.kind}};
  json.update(to_json(d));
  return json;
}

void inspect_experiment(const InspectOptions& options) {
  const Experiment e = load_experiment(options.file);
  const Distribution d = distribution_of(e);
  if (options.json) return print(describe_experiment(e, d).dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
  print(fmt::format("{}: {} of {}, {} examples, {}, seed {}\n", e.name, e.strategy.name, e.model.name, grouped(d.examples), e.data.name, e.seed));
  print(how_dealt(e) + "\n\n" + distribution_table(d));
}

void inspect_run(const InspectOptions& options) {
  const std::vector<RunFolder> runs{read_run(options.file)};
  const std::vector<Figures> figures{figures_of(runs.front(), usual_targets(runs))};
  if (options.json) return print(comparison_json(runs, figures).at("runs").at(0).dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
  const RunFolder& run = runs.front();
  const Figures& f = figures.front();
  const auto setting = [&](const char* key) { return run.setting(key); };
  print(fmt::format("{}: {} of {}, {}, {} clients\n", run.name, setting("strategy.name"), setting("model.name"), setting("data.name"), setting("data.clients")));
  print(fmt::format("{} of {} rounds, {} {}, ", f.rounds, setting("rounds"), setting("clock") == "wall" ? "time" : "virtual time", duration(f.virtual_s)));
  print(fmt::format("{} up, {} down\n", traffic(f.uplink_bytes), traffic(f.downlink_bytes)));
  if (f.final_accuracy)
    print(fmt::format("test accuracy {} (best {} in round {}), ", percent(*f.final_accuracy), percent(*f.best_accuracy), f.best_round));
  if (f.final_accuracy) print(fmt::format("loss {}\n", figure(f.final_loss)));
  for (const Reached& r : f.reached)
    if (r.round) print(fmt::format("  {:g} % after {} rounds, {}, {}\n", 100 * r.accuracy, *r.round, traffic(r.bytes), duration(r.virtual_s)));
  for (const std::string& remark : run.remarks) print(remark + "\n");
}

}  // namespace

std::function<int()> inspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  app.add_option("FILE", options->file, "a model file (GGUF, safetensors, llama2.c) or folder, an experiment (.toml), or a run folder")->required();
  add_json_flag(app, options->json);
  return [options] {
    const std::filesystem::path path = options->file;
    if (path.extension() == ".toml") {
      inspect_experiment(*options);
      return 0;
    }
    if (is_run_folder(path)) {
      inspect_run(*options);
      return 0;
    }
    const ordered_json file = core::describe_model(options->file);
    if (options->json)
      print(file.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
    else
      print_table(file);
    return 0;
  };
}

}  // namespace starling::tools
