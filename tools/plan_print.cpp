#include "tools/plan_print.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

namespace starling::tools {

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

nlohmann::json to_json(const partition::Plan& plan) {
  nlohmann::json ranks = nlohmann::json::array();
  for (const partition::RankPlan& rank : plan.ranks)
    ranks.push_back({{"name", rank.name},
                     {"share", rank.share},
                     {"kv_heads", {rank.slice.kv_begin, rank.slice.kv_end}},
                     {"ffn_columns", {rank.slice.ffn_begin, rank.slice.ffn_end}},
                     {"weight_bytes", rank.weight_bytes},
                     {"kv_bytes", rank.kv_bytes}});
  return {{"partition", plan.partition},
          {"sum", plan.sum == core::Sum::exact ? "exact" : "fast"},
          {"positions", plan.positions},
          {"kv_type", core::info(plan.kv_type).name},
          {"bytes_per_token", plan.bytes_per_token},
          {"ranks", std::move(ranks)}};
}

nlohmann::json nodes_json(const partition::Plan& plan, std::span<const partition::ShardReport> reports) {
  nlohmann::json nodes = nlohmann::json::array();
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const partition::ShardReport& r = reports[i];
    nodes.push_back({{"name", plan.ranks[i].name},
                     {"weight_bytes", r.weight_bytes},
                     {"kv_bytes", r.kv_bytes},
                     {"peak_rss_bytes", r.peak_rss_bytes},
                     {"bytes_sent", r.bytes_sent},
                     {"bytes_received", r.bytes_received},
                     {"compute_ms", r.compute_ms},
                     {"wait_ms", r.wait_ms},
                     {"load_ms", r.load_ms}});
  }
  return nodes;
}

std::string table(const partition::Plan& plan, std::span<const partition::ShardReport> reports) {
  std::size_t width = 4;
  for (const auto& rank : plan.ranks) width = std::max(width, rank.name.size());
  std::string text = fmt::format("{:<4}  {:<{}}  {:>8}  {:>11}  {:>10}  {:>9}  {:>10}  {:>9}  {:>9}\n", "rank", "node",
                                 width, "kv heads", "ffn columns", "weights", "cache", "peak RSS", "compute", "wait");
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const partition::RankPlan& rank = plan.ranks[i];
    const auto range = [](std::int64_t begin, std::int64_t end) {
      return begin == end ? std::string("-") : fmt::format("{}-{}", begin, end - 1);
    };
    text += fmt::format("{:<4}  {:<{}}  {:>8}  {:>11}  {:>10}  {:>9}  {:>10}  {:>6.0f} ms  {:>6.0f} ms\n", i, rank.name,
                        width, range(rank.slice.kv_begin, rank.slice.kv_end),
                        range(rank.slice.ffn_begin, rank.slice.ffn_end), human_bytes(reports[i].weight_bytes),
                        human_bytes(reports[i].kv_bytes), human_bytes(reports[i].peak_rss_bytes),
                        reports[i].compute_ms, reports[i].wait_ms);
  }
  return text;
}

}  // namespace starling::tools
