// Hosts files (TOML) and lists of URIs, checked entry by entry.
#include "tools/hosts.h"

#include <array>
#include <cmath>
#include <set>

#include <toml++/toml.h>

#include "core/error.h"
#include "core/file.h"
#include "tools/nearest.h"
#include "tools/sizes.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;

constexpr std::uint64_t kFileBytesMax = 1 << 20;
constexpr std::size_t kNodesMax = 1024;
const std::vector<std::string> kKeys{"name", "uri", "ssh", "program", "memory", "threads", "share", "link", "profile"};
const std::vector<std::string> kSchemes{"tcp", "zmq+tcp"};

std::string text(const toml::node& value, const std::string& where) {
  const auto found = value.value<std::string>();
  check(value.is_string() && !found->empty(), Kind::malformed, "{}: expected a text in quotes", where);
  return *found;
}

/// A word that may stand on a command line of another machine's shell without quotes going wrong.
std::string one_line(const toml::node& value, const std::string& where) {
  std::string line = text(value, where);
  check(line[0] != '-' && line.find_first_of("\n\r\t\"'`$\\;&|<>") == std::string::npos, Kind::malformed,
        "{}: '{}' holds a character that is not allowed here", where, line);
  return line;
}

void set(Host& host, const std::string& key, const toml::node& value, const std::string& where) {
  if (key == "name") host.name = one_line(value, where);
  if (key == "uri") host.uri = one_line(value, where);
  if (key == "ssh") host.ssh = one_line(value, where);
  if (key == "program") host.program = one_line(value, where);
  if (key == "profile") host.profile = text(value, where);
  if (key == "link") host.link = sim::parse_link(text(value, where));
  if (key == "memory") {
    check(value.is_string() || value.is_integer(), Kind::malformed, "{}: expected a size such as \"4G\"", where);
    host.memory_bytes = parse_size(value.is_string() ? text(value, where) : std::to_string(*value.value<std::int64_t>()), where);
  }
  if (key == "threads") {
    const auto threads = value.value_exact<std::int64_t>();
    check(threads && *threads >= 1 && *threads <= 1024, Kind::malformed, "{}: expected a number from 1 to 1024", where);
    host.threads = static_cast<int>(*threads);
  }
  if (key == "share") {
    const auto share = value.value<double>();
    check(value.is_number() && std::isfinite(*share) && *share >= 0, Kind::malformed, "{}: expected a number that is not negative",
          where);
    host.share = share;
  }
}

Host parse_host(const toml::node& node, const std::string& where) {
  const toml::table* table = node.as_table();
  check(table != nullptr, Kind::malformed, "{}: expected [[node]]", where);
  Host host;
  for (const auto& [key, value] : *table) {
    const std::string name(key.str());
    check(std::find(kKeys.begin(), kKeys.end(), name) != kKeys.end(), Kind::usage,
          "{}: unknown key '{}'{} (known: {})", where, name, suggestion(name, kKeys), fmt::join(kKeys, " "));
    try {
      set(host, name, value, where + ": " + name);
    } catch (const core::Error& error) {
      const std::string_view message = error.what();
      const bool named = message.substr(0, where.size()) == where;
      core::fail(Kind::malformed, "{}{}", named ? "" : where + ": " + name + ": ", message);
    }
  }
  check(!host.uri.empty(), Kind::malformed, "{}: no uri", where);
  try {
    check(parse_uri(host.uri).port > 0, Kind::usage, "'{}': a port above 0 is needed", host.uri);
  } catch (const core::Error& error) {
    core::fail(Kind::malformed, "{}: uri: {}", where, error.what());
  }
  return host;
}

void check_distinct(const std::vector<Host>& hosts, Kind kind, const std::string& source) {
  std::set<std::string> uris, names;
  for (const Host& host : hosts) {
    check(uris.insert(host.uri).second, kind, "{}: {} is given twice", source, host.uri);
    check(host.name.empty() || names.insert(host.name).second, kind, "{}: two nodes are named '{}'", source, host.name);
  }
}

}  // namespace

std::vector<Host> load_hosts(const std::filesystem::path& file) {
  return parse_hosts(core::read_text(file, kFileBytesMax), file.string());
}

std::vector<Host> parse_hosts(std::string_view toml_text, const std::string& source) {
  toml::table root;
  try {
    root = toml::parse(toml_text, source);
  } catch (const toml::parse_error& error) {
    core::fail(Kind::malformed, "{}: line {}: {}", source, error.source().begin.line, error.description());
  }
  for (const auto& [key, value] : root) {
    const std::vector<std::string> known{"node"};
    check(key == "node", Kind::usage, "{}: unknown key '{}'{} (known: node)", source, key.str(), suggestion(key.str(), known));
  }
  const toml::array* nodes = root["node"].as_array();
  check(nodes != nullptr && !nodes->empty(), Kind::malformed, "{}: no [[node]] in it", source);
  check(nodes->size() <= kNodesMax, Kind::malformed, "{}: {} nodes, at most {}", source, nodes->size(), kNodesMax);
  std::vector<Host> hosts;
  for (const toml::node& node : *nodes)
    hosts.push_back(parse_host(node, fmt::format("{}: node {}", source, hosts.size() + 1)));
  check_distinct(hosts, Kind::malformed, source);
  return hosts;
}

std::vector<Host> parse_uris(std::string_view list) {
  std::vector<Host> hosts;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    Host host;
    host.uri = list.substr(at, comma - at);
    parse_uri(host.uri);
    hosts.push_back(std::move(host));
    at = comma + 1;
  }
  check(hosts.size() <= kNodesMax, Kind::usage, "--nodes: {} nodes, at most {}", hosts.size(), kNodesMax);
  check_distinct(hosts, Kind::usage, "--nodes");
  return hosts;
}

comm::Address parse_uri(std::string_view uri) {
  comm::Address address = comm::parse_address(uri);
  check(std::find(kSchemes.begin(), kSchemes.end(), address.scheme) != kSchemes.end(), Kind::usage,
        "'{}': unknown scheme '{}'{} (known: {})", uri, address.scheme, suggestion(address.scheme, kSchemes),
        fmt::join(kSchemes, " "));
  return address;
}

}  // namespace starling::tools
