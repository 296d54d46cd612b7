// Devices from a file: one JSON object a line, {"id", "c_ms", "down_kBps", "up_kBps", "mem_MB", "period_s", "intervals":
// [[a, b], ...], "p_fail"}, what FedScale keeps per client (Lai et al. 2022) in an open form. In columns, so that a million
// clients take 28 bytes each and 8 for every interval.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sim/intervals.h"

namespace starling::sim {

class ProfileTable {
 public:
  /// Kind::malformed naming source, line and field. Ids rise; times are kept in milliseconds, so a period has at most 49
  /// days. Speeds and rates are above 0; whoever has no intervals is always there.
  static ProfileTable parse(std::string_view text, const std::string& source);
  /// As it is or packed. Kind::missing when it is not there.
  static ProfileTable load(const std::filesystem::path& file);

  std::size_t size() const { return ms_per_example_.size(); }
  double ms_per_example(std::size_t row) const { return static_cast<double>(ms_per_example_[row]); }
  double down_bytes_per_s(std::size_t row) const { return 1000 * static_cast<double>(down_kb_[row]); }
  double up_bytes_per_s(std::size_t row) const { return 1000 * static_cast<double>(up_kb_[row]); }
  double memory_mb(std::size_t row) const { return static_cast<double>(memory_mb_[row]); }
  double failure(std::size_t row) const { return static_cast<double>(failure_[row]); }
  Intervals intervals(std::size_t row) const;

 private:
  void add(std::string_view line, const std::string& source, std::int64_t& last_id);

  std::vector<float> ms_per_example_, down_kb_, up_kb_, memory_mb_, failure_;
  std::vector<std::uint32_t> period_ms_, stays_end_;
  std::vector<Stay> stays_;
};

}  // namespace starling::sim
