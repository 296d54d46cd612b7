// `starling up` and `starling down`: the nodes of a hosts file, started and stopped.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/command.h"
#include "tools/remote.h"

namespace starling::tools {
namespace {

struct UpOptions {
  std::string file;
  RemoteOptions remote;
  bool json = false;
};

int report(const std::vector<RemoteResult>& results, bool json) {
  bool all = true;
  nlohmann::json nodes = nlohmann::json::array();
  for (const RemoteResult& result : results) {
    all = all && result.ok;
    nodes.push_back({{"name", result.name}, {"uri", result.uri}, {"where", result.where}, {"ok", result.ok}, {"detail", result.detail}});
    if (!json) print(fmt::format("{}  {}  {}: {}\n", result.name, result.uri, result.where, result.detail));
    if (!result.ok) fmt::print(stderr, "starling: {} ({}, {}): {}\n", result.name, result.uri, result.where, result.detail);
  }
  if (json) print_json({{"nodes", nodes}});
  return all ? 0 : 1;
}

std::shared_ptr<UpOptions> add_options(CLI::App& app) {
  auto options = std::make_shared<UpOptions>();
  app.add_option("HOSTS.toml", options->file, "hosts file with [[node]] entries")->required();
  add_json_flag(app, options->json);
  return options;
}

}  // namespace

std::function<int()> up(CLI::App& app) {
  auto options = add_options(app);
  app.add_flag("--insecure", options->remote.insecure, "nodes may listen on addresses that others reach, without keys");
  return [options] { return report(start_nodes(load_hosts(options->file), options->remote), options->json); };
}

std::function<int()> down(CLI::App& app) {
  auto options = add_options(app);
  return [options] { return report(stop_nodes(load_hosts(options->file), options->remote), options->json); };
}

}  // namespace starling::tools
