// The recordings that a data folder holds. Kind::missing says what is not there and where it comes from.
#pragma once

#include <filesystem>
#include <vector>

#include "sim/traces/capacity.h"
#include "sim/traces/read.h"

namespace starling::sim {

/// Both directions of one link.
struct LinkTrace {
  std::string name;
  Capacity down, up;
};

/// Every pair NAME.down and NAME.up (or .gz, .xz) of FOLDER/mahimahi-lte, by name.
std::vector<LinkTrace> load_mahimahi(const std::filesystem::path& folder);
/// Every file of FOLDER/norway-3g/cooked_3gp.tar.gz, by name. The log knows one direction: up is a third of it.
std::vector<LinkTrace> load_norway(const std::filesystem::path& folder);
/// Every machine of FOLDER/planetlab-cpu/20110303.tar.gz, by name.
std::vector<Capacity> load_planetlab(const std::filesystem::path& folder);
/// FOLDER/phone-training-time/benchmark2score.json.
std::vector<Phone> load_phones(const std::filesystem::path& folder);

}  // namespace starling::sim
