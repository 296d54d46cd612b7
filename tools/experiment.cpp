#include "tools/experiment.h"

#include <cmath>
#include <map>
#include <sstream>

#include <toml++/toml.h>

#include "core/error.h"
#include "core/file.h"
#include "tools/nearest.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;

/// The devices, their links, and who of them is hostile.
template <class Visitor>
void walk_world(Experiment& e, Visitor& v) {
  constexpr double kMany = 1e12;
  v.section("devices");
  v.text("profile", e.devices.profile);
  v.text("file", e.devices.file);
  v.number("sigma", e.devices.sigma, 0, 10);
  v.number("jitter", e.devices.jitter, 0, 10);
  v.number("failure", e.devices.failure, 0, 1);
  v.text("availability", e.devices.availability);
  v.number("available", e.devices.available, 0, 1);
  v.number("on_s", e.devices.on_s, 1, kMany);
  v.number("off_s", e.devices.off_s, 1, kMany);
  v.flag("dropout", e.devices.dropout);
  v.choice("background", e.devices.background, {"none", "planetlab"});
  v.section("links");
  v.text("profile", e.devices.links.profile);
  v.number("up_mbit", e.devices.links.up_mbit, 0, 1e6);
  v.number("down_mbit", e.devices.links.down_mbit, 0, 1e6);
  v.number("delay_ms", e.devices.links.delay_ms, -1, 60e3);
  v.section("attack");
  v.text("kind", e.attack.kind);
  v.number("clients", e.attack.clients, 0, kMany);
  v.number("scale", e.attack.scale, 0, kMany);
  v.number("inflation", e.attack.inflation, 0, kMany);
}

template <class Visitor>
void walk_data(Experiment& e, Visitor& v) {
  constexpr double kMany = 1e12;
  v.section("data");
  v.text("name", e.data.name);
  v.path("path", e.data.path);
  v.whole("examples", e.data.train_max, 0, kMany);
  v.whole("stride", e.data.stride, 0, kMany);
  v.whole("clients", e.partition.clients, 1, kMany);
  v.flag("own", e.own_data);
  v.whole("features", e.data.synthetic.input.back(), 1, 1e6);
  v.whole("image_side", e.image_side, 0, 1024);
  v.whole("classes", e.data.synthetic.classes, 2, 1e6);
  v.whole("examples_each", e.data.synthetic.examples, 1, 1e6);
  v.number("beta", e.data.synthetic.beta, 0, kMany);
  v.text("partition", e.partition.kind);
  v.number("alpha", e.partition.alpha, 0, kMany);
  v.flag("balance", e.partition.balance);
  v.whole("min_size", e.partition.min_size, 0, kMany);
  v.whole("shards_per_client", e.partition.shards_per_client, 1, kMany);
  v.whole("shard_size", e.partition.shard_size, 0, kMany);
  v.whole("labels_per_client", e.partition.labels_per_client, 1, kMany);
  v.whole("min_examples", e.partition.min_examples, 0, kMany);
  v.whole("merge", e.partition.merge, 1, kMany);
  v.number("noise", e.noise, 0, kMany);
  v.whole("length", e.data.length, 1, 1 << 16);
}

/// Every setting once: its section, its name, where it is kept, its range. Reading and writing both walk this list.
template <class Visitor>
void walk(Experiment& e, Visitor& v) {
  constexpr double kMany = 1e12;
  v.section("");
  v.text("name", e.name);
  v.whole("seed", e.seed);
  v.whole("rounds", e.rounds, 1, kMany);
  v.choice("clock", e.clock, {"virtual", "wall"});
  walk_data(e, v);
  v.section("model");
  v.text("name", e.model.name);
  v.whole("width", e.model.width, 0, 1e6);
  v.whole("layers", e.model.layers, 0, 1000);
  v.whole("embedding", e.model.embedding, 0, 1e6);
  v.whole("heads", e.model.heads, 0, 1e4);
  v.whole("kv_heads", e.model.kv_heads, 0, 1e4);
  v.whole("ffn", e.model.ffn, 0, 1e6);
  v.whole("patch", e.model.patch, 0, 1e4);
  v.flag("slim", e.model.slim);
  v.choice("initial", e.model.initial, {"fan-in", "he"});
  v.path("checkpoint", e.checkpoint);
  v.section("client");
  v.whole("epochs", e.client.epochs, 0, 1e6);
  v.wholes("epochs_dealt", e.client.epochs_dealt, 1, 1e6);
  v.whole("steps", e.client.steps, 0, 1e9);
  v.whole("batch", e.client.batch, 0, 1e9);
  v.number("learning_rate", e.client.learning_rate, 0, 1e6);
  v.text("optimizer", e.client.optimizer.name);
  v.number("momentum", e.client.optimizer.momentum, 0, 1);
  v.number("dampening", e.client.optimizer.dampening, 0, 1);
  v.flag("nesterov", e.client.optimizer.nesterov);
  v.number("weight_decay", e.client.optimizer.weight_decay, 0, 1e3);
  v.choice("augment", e.client.augment, {"none", "crop-flip"});
  v.section("strategy");
  v.text("name", e.strategy.name);
  v.number("fraction", e.policy.fraction, 0, 1);
  v.choice("weights", e.strategy.weights, {"examples", "equal"});
  v.number("server_learning_rate", e.strategy.server_learning_rate, 0, 1e6);
  v.number("server_momentum", e.strategy.server_momentum, -1, 1);
  v.number("beta1", e.strategy.beta1, -1, 1);
  v.number("beta2", e.strategy.beta2, -1, 1);
  v.number("tau", e.strategy.tau, 0, 1e6);
  v.choice("bias_correction", e.strategy.bias_correction, {"none", "adam", "flower"});
  v.number("proximal", e.strategy.proximal, 0, 1e6);
  v.number("q", e.strategy.q, 0, 100);
  v.number("trim", e.strategy.trim, 0, 0.5);
  v.whole("hostile", e.strategy.hostile, 0, kMany);
  v.whole("keep", e.strategy.keep, 0, kMany);
  v.choice("selection", e.strategy.selection, {"iterative", "oneshot"});
  v.whole("bucket", e.strategy.bucket, 1, kMany);
  v.choice("staleness", e.strategy.staleness, {"constant", "polynomial", "threshold", "hinge"});
  v.number("staleness_a", e.strategy.staleness_a, 0, 1e6);
  v.number("staleness_b", e.strategy.staleness_b, 0, 1e6);
  v.section("rounds_policy");
  v.choice("mode", e.mode, {"sync", "async"});
  v.whole("min_clients", e.policy.min_clients, 1, kMany);
  v.number("deadline_s", e.policy.deadline, 0, kMany);
  v.number("quorum", e.policy.quorum, 0, 1);
  v.number("over_select", e.policy.over_select, 1, 1000);
  v.whole("min_replies", e.policy.min_replies, 1, kMany);
  v.whole("max_failed_rounds", e.policy.max_failed_rounds, 1, kMany);
  v.whole("buffer", e.strategy.buffer, 1, kMany);
  v.whole("concurrency", e.policy.concurrency, 1, kMany);
  v.number("norm_max", e.policy.norm_max, 0, kMany);
  v.number("examples_max", e.policy.examples_max, 0, kMany);
  walk_world(e, v);
  v.section("evaluate");
  v.whole("every", e.evaluate_every, 1, kMany);
}

/// Sets what a table has, and remembers what was asked for, to find what nobody asked for.
class Reader {
 public:
  Reader(const toml::table& root, std::string source) : root_(root), source_(std::move(source)) {}

  void section(const std::string& name) {
    section_ = name;
    known_[name];
    table_ = name.empty() ? &root_ : nullptr;
    if (const toml::node* node = name.empty() ? nullptr : root_.get(name)) {
      check(node->is_table(), Kind::malformed, "{}: [{}] is no section", source_, name);
      table_ = node->as_table();
    }
  }
  void text(const std::string& key, std::string& to) {
    if (const toml::node* node = find(key)) {
      check(node->is_string(), Kind::malformed, "{}: expected a text in quotes", where(key));
      to = *node->value<std::string>();
    }
  }
  void path(const std::string& key, std::filesystem::path& to) {
    std::string kept = to.string();
    text(key, kept);
    to = kept;
  }
  void choice(const std::string& key, std::string& to, const std::vector<std::string>& known) {
    text(key, to);
    check(std::find(known.begin(), known.end(), to) != known.end(), Kind::usage, "{} = '{}'{}, expected one of {}", where(key), to, suggestion(to, known),
          fmt::join(known, " "));
  }
  void flag(const std::string& key, bool& to) {
    if (const toml::node* node = find(key)) {
      check(node->is_boolean(), Kind::malformed, "{}: expected true or false", where(key));
      to = *node->value<bool>();
    }
  }
  void whole(const std::string& key, std::uint64_t& to) {
    auto value = static_cast<std::int64_t>(to);
    whole(key, value, 0, 9e18);
    to = static_cast<std::uint64_t>(value);
  }
  void whole(const std::string& key, std::int64_t& to, double low, double high) {
    if (const toml::node* node = find(key)) {
      check(node->is_integer(), Kind::malformed, "{}: expected a whole number", where(key));
      to = *node->value<std::int64_t>();
      range(key, static_cast<double>(to), low, high);
    }
  }
  void wholes(const std::string& key, std::vector<std::int64_t>& to, double low, double high) {
    const toml::node* node = find(key);
    if (!node) return;
    check(node->is_array(), Kind::malformed, "{}: expected a list of whole numbers", where(key));
    to.clear();
    for (const toml::node& one : *node->as_array()) {
      check(one.is_integer(), Kind::malformed, "{}: expected a list of whole numbers", where(key));
      to.push_back(*one.value<std::int64_t>());
      range(key, static_cast<double>(to.back()), low, high);
    }
  }
  void number(const std::string& key, double& to, double low, double high) {
    if (const toml::node* node = find(key)) {
      check(node->is_number(), Kind::malformed, "{}: expected a number", where(key));
      to = *node->value<double>();
      range(key, to, low, high);
    }
  }

  void refuse_unknown() const {
    std::vector<std::string> sections;
    for (const auto& [name, keys] : known_)
      if (!name.empty()) sections.push_back(name);
    for (const auto& [key, node] : root_) {
      const std::string name(key.str());
      if (!node.is_table()) {
        refuse("", name);
        continue;
      }
      check(known_.count(name) > 0, Kind::usage, "{}: unknown section [{}]{} (known: {})", source_, name, suggestion(name, sections), fmt::join(sections, " "));
      for (const auto& [inner, value] : *node.as_table()) refuse(name, std::string(inner.str()));
    }
  }

 private:
  const toml::node* find(const std::string& key) {
    known_[section_].push_back(key);
    return table_ ? table_->get(key) : nullptr;
  }
  std::string where(const std::string& key) const { return section_.empty() ? source_ + ": " + key : source_ + ": [" + section_ + "] " + key; }
  void range(const std::string& key, double value, double low, double high) const {
    check(std::isfinite(value) && value >= low && value <= high, Kind::malformed, "{} = {}, expected {} to {}", where(key), value, low, high);
  }
  void refuse(const std::string& section, const std::string& key) const {
    const std::vector<std::string>& keys = known_.at(section);
    check(std::find(keys.begin(), keys.end(), key) != keys.end(), Kind::usage, "{}: unknown key '{}'{}{} (known: {})", source_, key,
          section.empty() ? "" : " in [" + section + "]", suggestion(key, keys), fmt::join(keys, " "));
  }

  const toml::table& root_;
  std::string source_, section_;
  const toml::table* table_ = nullptr;
  std::map<std::string, std::vector<std::string>> known_;
};

class Writer {
 public:
  void section(const std::string& name) {
    if (!name.empty()) out_ += fmt::format("\n[{}]\n", name);
  }
  void text(const std::string& key, const std::string& v) {
    std::ostringstream quoted;
    quoted << toml::value<std::string>(v);
    out_ += fmt::format("{} = {}\n", key, quoted.str());
  }
  void path(const std::string& key, const std::filesystem::path& v) { text(key, v.string()); }
  void choice(const std::string& key, const std::string& v, const std::vector<std::string>&) { text(key, v); }
  void flag(const std::string& key, bool v) { out_ += fmt::format("{} = {}\n", key, v); }
  void whole(const std::string& key, std::uint64_t v) { out_ += fmt::format("{} = {}\n", key, v); }
  void whole(const std::string& key, std::int64_t v, double, double) { out_ += fmt::format("{} = {}\n", key, v); }
  void wholes(const std::string& key, const std::vector<std::int64_t>& v, double, double) { out_ += fmt::format("{} = [{}]\n", key, fmt::join(v, ", ")); }
  void number(const std::string& key, double v, double, double) {
    std::string digits = fmt::format("{}", v);
    if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
    out_ += fmt::format("{} = {}\n", key, digits);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

/// "section.key=value" into the table; a value that is no TOML is a text.
void set(toml::table& root, const std::string& text) {
  const auto equals = text.find('=');
  check(equals != std::string::npos && equals > 0, Kind::usage, "--set {}: expected key=value or section.key=value", text);
  const std::string key = text.substr(0, equals), value = text.substr(equals + 1);
  const auto dot = key.find('.');
  toml::table parsed;
  try {
    parsed = toml::parse("v = " + value);
  } catch (const toml::parse_error&) {
    parsed.insert("v", value);
  }
  toml::table* table = &root;
  if (dot != std::string::npos) {
    const std::string section = key.substr(0, dot);
    if (!root.contains(section)) root.insert(section, toml::table());
    table = root[section].as_table();
    check(table != nullptr, Kind::usage, "--set {}: '{}' is no section", text, section);
  }
  table->insert_or_assign(dot == std::string::npos ? key : key.substr(dot + 1), *parsed.get("v"));
}

void check_name(const std::string& what, const std::string& name, const std::vector<std::string_view>& known) {
  std::vector<std::string> names(known.begin(), known.end());
  check(std::find(names.begin(), names.end(), name) != names.end(), Kind::usage, "{} '{}' is unknown{}; known: {}", what, name, suggestion(name, names),
        fmt::join(names, " "));
}

}  // namespace

Experiment parse_experiment(std::string_view text, const std::string& source, const std::vector<std::string>& overrides) {
  toml::table root;
  try {
    root = toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    core::fail(Kind::malformed, "{}: line {}: {}", source, error.source().begin.line, error.description());
  }
  for (const std::string& one : overrides) set(root, one);
  Experiment e;
  Reader reader(root, source);
  walk(e, reader);
  reader.refuse_unknown();
  check_name(source + ": [data] name", e.data.name, core::dataset_names());
  check_name(source + ": [data] partition", e.partition.kind, core::partition_kinds());
  check_name(source + ": [model] name", e.model.name, core::model_names());
  check_name(source + ": [strategy] name", e.strategy.name, federated::strategy_names());
  check_name(source + ": [devices] profile", e.devices.profile, sim::device_profiles());
  check_name(source + ": [devices] availability", e.devices.availability, sim::availabilities());
  check_name(source + ": [links] profile", e.devices.links.profile, sim::link_profiles());
  check_name(source + ": [attack] kind", e.attack.kind, federated::attack_kinds());
  const auto optimizers = core::optimizer_names();
  check_name(source + ": [client] optimizer", e.client.optimizer.name, {optimizers.begin(), optimizers.end()});
  e.partition.seed = e.client.seed = e.strategy.seed = e.policy.seed = e.devices.seed = e.attack.seed = e.seed;
  e.data.synthetic.seed = e.seed;
  e.data.synthetic.alpha = e.partition.alpha;
  if (e.image_side > 0) e.data.synthetic.input = {1, e.image_side, e.image_side};
  e.policy.rounds = e.rounds;
  e.policy.asynchronous = e.mode == "async";
  e.devices.clients = e.partition.clients;
  return e;
}

Experiment load_experiment(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  constexpr std::uint64_t kFileBytesMax = 1 << 20;
  return parse_experiment(core::read_text(file, kFileBytesMax), file.string(), overrides);
}

std::string resolved(const Experiment& experiment) {
  Experiment copy = experiment;
  Writer writer;
  walk(copy, writer);
  return writer.take();
}

}  // namespace starling::tools
