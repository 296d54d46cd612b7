#include "core/data/partition.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/random_stream.h"

namespace starling::core {
namespace {

using Numbers = std::vector<std::uint32_t>;

struct Task {
  const PartitionOptions& o;
  std::size_t examples;
  std::span<const std::int32_t> labels, keys;

  std::size_t clients() const { return static_cast<std::size_t>(o.clients); }
  std::size_t classes() const { return static_cast<std::size_t>(*std::max_element(labels.begin(), labels.end())) + 1; }
  RandomStream stream(std::uint64_t attempt = 0) const { return {o.seed, Purpose::partition, {0, 0, attempt}}; }

  Numbers all() const {
    Numbers numbers(examples);
    std::iota(numbers.begin(), numbers.end(), 0u);
    return numbers;
  }
  /// The examples of every class.
  std::vector<Numbers> by_class() const {
    std::vector<Numbers> result(classes());
    for (std::size_t i = 0; i < examples; ++i) result[static_cast<std::size_t>(labels[i])].push_back(static_cast<std::uint32_t>(i));
    return result;
  }
};

void append(Numbers& to, const Numbers& from, std::size_t begin, std::size_t end) {
  to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(begin), from.begin() + static_cast<std::ptrdiff_t>(end));
}

/// Blocks whose sizes differ by one at most, the larger first.
void deal_equally(const Numbers& from, std::span<Numbers* const> to) {
  std::size_t at = 0;
  for (std::size_t j = 0; j < to.size(); ++j) {
    const std::size_t size = from.size() / to.size() + (j < from.size() % to.size() ? 1 : 0);
    append(*to[j], from, at, at + size);
    at += size;
  }
}

/// Cuts at floor(cumulative share * size); the last takes the rest.
void deal_by_shares(const Numbers& from, const std::vector<double>& shares, Partition& to) {
  double sum = 0;
  std::size_t at = 0;
  for (std::size_t j = 0; j < shares.size(); ++j) {
    sum += shares[j];
    const std::size_t end = j + 1 == shares.size() ? from.size() : std::min(from.size(), static_cast<std::size_t>(sum * static_cast<double>(from.size())));
    append(to[j], from, at, std::max(at, end));
    at = std::max(at, end);
  }
}

Partition iid(const Task& t) {
  Numbers all = t.all();
  t.stream().shuffle(std::span(all));
  Partition parts(t.clients());
  std::vector<Numbers*> to;
  for (Numbers& part : parts) to.push_back(&part);
  deal_equally(all, to);
  return parts;
}

/// Draws until every client has min_size.
template <class Draw>
Partition until_large_enough(const Task& t, Draw draw) {
  for (int attempt = 0; attempt < t.o.tries; ++attempt) {
    RandomStream random = t.stream(static_cast<std::uint64_t>(attempt));
    Partition parts(t.clients());
    draw(random, parts);
    const auto smallest = std::min_element(parts.begin(), parts.end(), [](const Numbers& a, const Numbers& b) { return a.size() < b.size(); });
    if (static_cast<std::int64_t>(smallest->size()) < t.o.min_size) continue;
    for (Numbers& part : parts) random.shuffle(std::span(part));
    return parts;
  }
  fail(Kind::refused, "partition {}: no draw of {} gave each of {} clients {} examples; lower min_size or raise alpha", t.o.kind, t.o.tries,
       t.o.clients, t.o.min_size);
}

Partition dirichlet(const Task& t) {
  check(t.o.alpha > 0, Kind::usage, "partition dirichlet: alpha = {}, expected above 0", t.o.alpha);
  const std::vector<Numbers> classes = t.by_class();
  const double fair = static_cast<double>(t.examples) / static_cast<double>(t.clients());
  return until_large_enough(t, [&](RandomStream& random, Partition& parts) {
    for (Numbers members : classes) {
      random.shuffle(std::span(members));
      std::vector<double> p = random.dirichlet(t.o.alpha, t.clients());
      if (t.o.balance) {
        double left = 0;
        for (std::size_t j = 0; j < p.size(); ++j) left += p[j] = static_cast<double>(parts[j].size()) >= fair ? 0 : p[j];
        for (double& v : p) v = left > 0 ? v / left : 1 / static_cast<double>(p.size());
      }
      deal_by_shares(members, p, parts);
    }
  });
}

Partition quantity(const Task& t) {
  check(t.o.alpha > 0, Kind::usage, "partition quantity: alpha = {}, expected above 0", t.o.alpha);
  return until_large_enough(t, [&](RandomStream& random, Partition& parts) {
    Numbers all = t.all();
    random.shuffle(std::span(all));
    deal_by_shares(all, random.dirichlet(t.o.alpha, t.clients()), parts);
  });
}

Partition shards(const Task& t) {
  check(t.o.shards_per_client > 0 && t.o.shard_size >= 0, Kind::usage, "partition shards: shards_per_client = {}, shard_size = {}", t.o.shards_per_client,
        t.o.shard_size);
  Numbers sorted = t.all();
  std::stable_sort(sorted.begin(), sorted.end(), [&](std::uint32_t a, std::uint32_t b) { return t.labels[a] < t.labels[b]; });
  const bool by_size = t.o.shard_size > 0;
  const std::size_t wanted = t.clients() * static_cast<std::size_t>(t.o.shards_per_client);
  const std::size_t size = by_size ? static_cast<std::size_t>(t.o.shard_size) : t.examples / wanted;
  check(size > 0, Kind::usage, "partition shards: {} examples do not fill {} shards", t.examples, wanted);
  const std::size_t whole = t.examples / size;
  const std::size_t count = by_size ? whole + (t.o.keep_incomplete && whole * size < t.examples ? 1 : 0) : wanted;
  check(count >= t.clients(), Kind::usage, "partition shards: {} shards for {} clients", count, t.o.clients);
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  t.stream().shuffle(std::span(order));
  Partition parts(t.clients());
  std::size_t at = 0;
  for (std::size_t j = 0; j < parts.size(); ++j)
    for (std::size_t k = 0; k < count / t.clients() + (j < count % t.clients() ? 1 : 0); ++k, ++at) {
      const std::size_t begin = order[at] * size;
      append(parts[j], sorted, begin, std::min(begin + size, t.examples));
    }
  return parts;
}

Partition labels(const Task& t) {
  const std::size_t classes = t.classes(), each = static_cast<std::size_t>(t.o.labels_per_client);
  check(t.o.labels_per_client > 0 && each <= classes, Kind::usage, "partition labels: labels_per_client = {}, expected 1 to {}", t.o.labels_per_client,
        classes);
  RandomStream random = t.stream();
  std::vector<std::vector<std::size_t>> holders(classes);
  for (std::size_t j = 0; j < t.clients(); ++j) {
    std::vector<std::size_t> others;
    for (std::size_t c = 0; c < classes; ++c)
      if (c != j % classes) others.push_back(c);
    random.shuffle(std::span(others));
    holders[j % classes].push_back(j);
    for (std::size_t k = 0; k + 1 < each; ++k) holders[others[k]].push_back(j);
  }
  Partition parts(t.clients());
  std::vector<Numbers> members = t.by_class();
  for (std::size_t c = 0; c < classes; ++c) {
    random.shuffle(std::span(members[c]));
    std::vector<Numbers*> to;
    for (const std::size_t j : holders[c]) to.push_back(&parts[j]);
    if (!to.empty()) deal_equally(members[c], to);
  }
  return parts;
}

Partition natural(const Task& t) {
  check(t.keys.size() == t.examples, Kind::usage, "partition natural: this data says of no example whose it is");
  check(t.o.merge > 0, Kind::usage, "partition natural: merge = {}, expected at least 1", t.o.merge);
  std::map<std::int32_t, Numbers> owners;
  for (std::size_t i = 0; i < t.examples; ++i) owners[t.keys[i]].push_back(static_cast<std::uint32_t>(i));
  Partition parts;
  std::int64_t merged = 0;
  for (const auto& [key, members] : owners) {
    if (static_cast<std::int64_t>(members.size()) < t.o.min_examples) continue;
    if (merged == 0) parts.emplace_back();
    append(parts.back(), members, 0, members.size());
    merged = (merged + 1) % t.o.merge;
  }
  check(!parts.empty(), Kind::refused, "partition natural: no owner has {} examples", t.o.min_examples);
  return parts;
}

struct Entry {
  std::string_view name;
  bool needs_labels;
  Partition (*make)(const Task&);
};

constexpr std::array kKinds{
    Entry{"iid", false, iid},       Entry{"dirichlet", true, dirichlet}, Entry{"shards", true, shards}, Entry{"labels", true, labels},
    Entry{"quantity", false, quantity}, Entry{"noise", false, iid},      Entry{"natural", false, natural},
};

}  // namespace

std::vector<std::string_view> partition_kinds() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kKinds) names.push_back(entry.name);
  return names;
}

Partition partition(const PartitionOptions& options, std::size_t examples, std::span<const std::int32_t> labels, std::span<const std::int32_t> keys) {
  check(options.clients > 0 && static_cast<std::size_t>(options.clients) <= examples, Kind::usage, "partition: {} clients for {} examples", options.clients,
        examples);
  for (const Entry& entry : kKinds) {
    if (entry.name != options.kind) continue;
    const bool labelled = labels.size() == examples && std::all_of(labels.begin(), labels.end(), [](std::int32_t l) { return l >= 0; });
    check(!entry.needs_labels || labelled, Kind::usage, "partition {}: the examples have no labels", options.kind);
    return entry.make({options, examples, labels, keys});
  }
  fail(Kind::usage, "partition '{}' is unknown; known: {}", options.kind, fmt::join(partition_kinds(), " "));
}

PartitionReport report(const Partition& partition, std::size_t examples, std::span<const std::int32_t> labels) {
  PartitionReport r;
  r.unused = static_cast<std::int64_t>(examples);
  r.smallest = static_cast<std::int64_t>(examples);
  const std::size_t classes = labels.empty() ? 0 : static_cast<std::size_t>(*std::max_element(labels.begin(), labels.end())) + 1;
  std::vector<double> global(classes);
  for (const std::int32_t label : labels) global[static_cast<std::size_t>(label)] += 1 / static_cast<double>(labels.size());
  for (const auto& part : partition) {
    const auto size = static_cast<std::int64_t>(part.size());
    r.unused -= size;
    r.smallest = std::min(r.smallest, size);
    r.largest = std::max(r.largest, size);
    std::vector<std::int64_t> counts(classes);
    for (const std::uint32_t i : part)
      if (classes > 0) ++counts[static_cast<std::size_t>(labels[i])];
    double distance = 0;
    for (std::size_t c = 0; c < classes && size > 0; ++c) distance += std::abs(static_cast<double>(counts[c]) / static_cast<double>(size) - global[c]) / 2;
    r.total_variation += distance / static_cast<double>(partition.size());
    r.histogram.push_back(std::move(counts));
  }
  return r;
}

double noise_deviation(double level, std::int64_t client, std::int64_t clients) {
  return clients > 1 ? level * static_cast<double>(client) / static_cast<double>(clients - 1) : 0;
}

void add_noise(const Partition& partition, double level, std::uint64_t seed, Examples& examples) {
  for (std::size_t client = 0; client < partition.size(); ++client) {
    const double deviation = noise_deviation(level, static_cast<std::int64_t>(client), static_cast<std::int64_t>(partition.size()));
    if (deviation == 0) continue;
    RandomStream random(seed, Purpose::partition, {1, client, 0});
    for (const std::uint32_t i : partition[client])
      for (std::int64_t k = 0; k < examples.values_each; ++k)
        examples.values[static_cast<std::size_t>(i * examples.values_each + k)] += static_cast<float>(deviation * random.normal());
  }
}

}  // namespace starling::core
