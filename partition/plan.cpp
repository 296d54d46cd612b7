#include "partition/plan.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/models/llama_parts.h"

namespace starling::partition {

using core::check;
using core::Kind;

std::vector<double> parse_shares(std::string_view text, Rank ranks) {
  std::vector<double> shares;
  std::string_view rest = text;
  while (true) {
    const std::size_t colon = rest.find(':');
    const std::string_view field = rest.substr(0, colon);
    double value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    check(error == std::errc() && end == field.data() + field.size() && std::isfinite(value) && value >= 0,
          Kind::usage, "--shares {}: '{}' is not a number of at least 0", text, field);
    shares.push_back(value);
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  check(shares.size() == static_cast<std::size_t>(ranks), Kind::usage, "--shares {}: {} entries for {} ranks", text,
        shares.size(), ranks);
  check(std::accumulate(shares.begin(), shares.end(), 0.0) > 0, Kind::usage, "--shares {}: all are zero", text);
  return shares;
}

std::vector<std::int64_t> deal(std::int64_t units, std::span<const double> shares) {
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  core::ensure(total > 0, "deal() needs a share above zero");
  std::vector<std::int64_t> counts;
  std::vector<double> lacking;  // what rounding down took away, in units
  for (const double share : shares) {
    const double exact = static_cast<double>(units) * share / total;
    counts.push_back(static_cast<std::int64_t>(std::floor(exact)));
    lacking.push_back(exact - std::floor(exact));
  }
  std::int64_t left = units - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < shares.size(); ++i)
    if (shares[i] > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lacking[a] > lacking[b]; });
  for (std::size_t i = 0; left > 0; i = (i + 1) % order.size(), --left) ++counts[order[i]];
  return counts;
}

std::vector<core::LlamaSlice> slices(const core::LlamaConfig& config, std::span<const double> shares) {
  const std::int64_t unit = core::units(config).ffn_columns;
  const auto kv = deal(config.kv_heads, shares);
  const auto ffn = deal((config.ffn + unit - 1) / unit, shares);
  std::vector<core::LlamaSlice> result(shares.size());
  std::int64_t kv_next = 0;
  std::int64_t ffn_next = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    result[i].kv_begin = kv_next;
    result[i].kv_end = kv_next += kv[i];
    result[i].ffn_begin = std::min(ffn_next, config.ffn);
    ffn_next += ffn[i] * unit;
    result[i].ffn_end = std::min(ffn_next, config.ffn);
  }
  return result;
}

std::uint64_t slice_bytes(const core::LlamaModel& model, const core::LlamaSlice& slice) {
  std::uint64_t bytes = 0;
  for (const core::LlamaBlock& block : model.blocks)
    core::each_part(model.config, [&](const core::BlockPart& part, std::int64_t copy) {
      const core::Type type = core::slice_type(part, model.config, core::member(block, part, copy).type());
      bytes += core::byte_size(type, core::slice_shape(part, model.config, slice, type));
    });
  return bytes;
}

std::uint64_t cache_bytes(const core::LlamaConfig& config, const core::LlamaSlice& slice, core::Type type, std::int64_t positions,
                          std::int64_t sequences) {
  return 2 * core::byte_size(type, {config.layers, sequences, slice.kv_end - slice.kv_begin, positions, config.head_size});
}

Plan make_plan(const core::LlamaModel& model, const PlanOptions& options) {
  const core::LlamaConfig& c = model.config;
  const std::size_t ranks = options.shares.size();
  core::ensure(ranks > 0 && options.names.size() == ranks, "a plan needs a name and a share for every rank");
  check(options.sequences >= 1 && options.sequences <= kSequencesMax, Kind::usage, "{} sequences: expected 1 to {}", options.sequences,
        kSequencesMax);
  Plan plan;
  plan.partition = ranks == 1 ? "single" : "tp";
  plan.sum = options.sum;
  plan.positions = options.positions;
  plan.sequences = options.sequences;
  plan.kv_type = options.kv_type;
  const double total = std::accumulate(options.shares.begin(), options.shares.end(), 0.0);
  const auto cut = slices(c, options.shares);
  for (std::size_t i = 0; i < ranks; ++i) {
    RankPlan rank;
    rank.name = options.names[i];
    rank.share = options.shares[i] / total;
    rank.slice = cut[i];
    rank.weight_bytes = slice_bytes(model, cut[i]);
    if (i == 0) {
      rank.weight_bytes += model.ends.embedding.bytes().size() + model.ends.output_norm.bytes().size();
      if (!c.tied) rank.weight_bytes += model.ends.output.bytes().size();
    }
    rank.kv_bytes = cache_bytes(c, cut[i], options.kv_type, options.positions, options.sequences);
    const std::uint64_t budget = i < options.memory_bytes.size() ? options.memory_bytes[i] : 0;
    check(budget == 0 || rank.weight_bytes + rank.kv_bytes <= budget, Kind::refused,
          "{}: its part needs {} bytes of weights and {} of cache, its memory budget is {}", rank.name,
          rank.weight_bytes, rank.kv_bytes, budget);
    plan.ranks.push_back(std::move(rank));
  }
  const std::uint64_t element = plan.sum == core::Sum::exact ? sizeof(double) : sizeof(float);
  plan.bytes_per_token = ranks == 1 ? 0 : 2 * static_cast<std::uint64_t>(c.layers * c.width) * element;
  return plan;
}

}  // namespace starling::partition
