#include "tools/report/distribution.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tools/report/text.h"

namespace starling::tools {
namespace {

constexpr std::size_t kRowsMax = 20;
constexpr std::int64_t kCountColumnsMax = 12, kPictureColumnsMax = 80;

/// A share of 0 is ' ', any other at least '.', all of it '@'.
char shade(double share) {
  constexpr std::string_view kShades = ".:-=+*#%@";
  if (share <= 0) return ' ';
  return kShades[std::min(kShades.size() - 1, static_cast<std::size_t>(share * static_cast<double>(kShades.size())))];
}

}  // namespace

double Distribution::mean_size() const {
  const auto dealt = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}));
  return sizes.empty() ? 0 : dealt / static_cast<double>(sizes.size());
}

Distribution distribution_of(const core::Partition& partition, const core::Examples& train) {
  Distribution d;
  d.examples = train.count;
  const bool labelled = train.labels_each == 1 && std::all_of(train.labels.begin(), train.labels.end(), [](std::int32_t l) { return l >= 0; });
  const std::span<const std::int32_t> labels = labelled ? std::span<const std::int32_t>(train.labels) : std::span<const std::int32_t>();
  d.counts = core::report(partition, static_cast<std::size_t>(train.count), labels);
  if (!labels.empty() && !d.counts.histogram.empty()) d.labels = static_cast<std::int64_t>(d.counts.histogram.front().size());
  for (const auto& part : partition) d.sizes.push_back(static_cast<std::int64_t>(part.size()));
  return d;
}

Distribution distribution_of(const Experiment& e) {
  core::check(!e.own_data, core::Kind::unsupported, "the examples are the nodes' own: nobody else has seen them");
  core::check(e.data.name != "synthetic", core::Kind::unsupported, "the examples of every client are made from its number, {} each", e.data.synthetic.examples);
  const core::Dataset data = core::load_dataset(e.data);
  return distribution_of(core::partition(e.partition, static_cast<std::size_t>(data.train.count), data.train.labels, data.owners), data.train);
}

std::string how_dealt(const Experiment& e) {
  if (e.own_data) return "one client on every node, with data of its own";
  const core::PartitionOptions& p = e.partition;
  const std::map<std::string, std::string> details{
      {"dirichlet", fmt::format(" (alpha = {}{}, min_size = {})", p.alpha, p.balance ? ", balanced" : "", p.min_size)},
      {"quantity", fmt::format(" (alpha = {}, min_size = {})", p.alpha, p.min_size)},
      {"shards", p.shard_size > 0 ? fmt::format(" (shard_size = {})", p.shard_size) : fmt::format(" (shards_per_client = {})", p.shards_per_client)},
      {"labels", fmt::format(" (labels_per_client = {})", p.labels_per_client)},
      {"natural", fmt::format(" (merge = {}, min_examples = {})", p.merge, p.min_examples)},
      {"noise", fmt::format(" (iid, noise up to {})", e.noise)}};
  const auto found = details.find(p.kind);
  const std::string detail = found == details.end() ? "" : found->second;
  return p.kind == "natural" ? "clients by owner, natural" + detail : fmt::format("{} clients by {}{}", grouped(p.clients), p.kind, detail);
}

std::vector<std::size_t> shown_clients(const Distribution& d, std::size_t count_max) {
  std::vector<std::size_t> clients(d.sizes.size());
  std::iota(clients.begin(), clients.end(), std::size_t{0});
  if (clients.size() <= count_max) return clients;
  std::stable_sort(clients.begin(), clients.end(), [&](std::size_t a, std::size_t b) { return d.sizes[a] < d.sizes[b]; });
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < count_max; ++i) shown.push_back(clients[i * (clients.size() - 1) / (count_max - 1)]);
  return shown;
}

std::string distribution_table(const Distribution& d) {
  const std::vector<std::size_t> shown = shown_clients(d, kRowsMax);
  const bool counts = d.labels > 0 && d.labels <= kCountColumnsMax, picture = d.labels > 0 && d.labels <= kPictureColumnsMax;
  std::string text = fmt::format("{:>8}  {:>9}", "client", "examples");
  for (std::int64_t label = 0; counts && label < d.labels; ++label) text += fmt::format(" {:>6}", label);
  if (picture) text += "  shares of the labels";
  text += '\n';
  for (const std::size_t client : shown) {
    text += fmt::format("{:>8}  {:>9}", client, d.sizes[client]);
    if (counts)
      for (const std::int64_t n : d.counts.histogram[client]) text += fmt::format(" {:>6}", n);
    if (picture) {
      const auto all = static_cast<double>(std::max<std::int64_t>(d.sizes[client], 1));
      text += "  |";
      for (const std::int64_t n : d.counts.histogram[client]) text += shade(static_cast<double>(n) / all);
      text += '|';
    }
    text += '\n';
  }
  const auto clients = static_cast<std::int64_t>(d.sizes.size());
  if (shown.size() < d.sizes.size()) text += fmt::format("{} of {} clients, evenly from the smallest to the largest\n", shown.size(), grouped(clients));
  text += fmt::format("smallest {}, largest {}, mean {:.1f} examples; ", grouped(d.counts.smallest), grouped(d.counts.largest), d.mean_size());
  text += fmt::format("{} unused", grouped(d.counts.unused));
  return text + (d.labels > 0 ? fmt::format("; total variation of the labels {:.3f}\n", d.counts.total_variation) : "\n");
}

nlohmann::ordered_json to_json(const Distribution& d) {
  nlohmann::ordered_json json{{"examples", d.examples},
                              {"labels", d.labels},
                              {"clients", d.sizes.size()},
                              {"smallest", d.counts.smallest},
                              {"largest", d.counts.largest},
                              {"mean", d.mean_size()},
                              {"unused", d.counts.unused},
                              {"sizes", d.sizes}};
  if (d.labels > 0) {
    json["total_variation"] = d.counts.total_variation;
    json["histogram"] = d.counts.histogram;
  }
  return json;
}

}  // namespace starling::tools
