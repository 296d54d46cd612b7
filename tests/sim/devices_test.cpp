// Devices by profile: speeds and links against their distributions, tasks against hand-made times, recordings against
// closed forms.
#include "sim/devices.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/data.h"

using namespace starling;
using namespace starling::sim;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMany = 100'000;

DeviceOptions options(const std::string& profile, const std::string& links = "as-devices") {
  DeviceOptions o;
  o.profile = profile;
  o.links.profile = links;
  o.clients = kMany;
  o.jitter = 0;
  return o;
}

/// A number of every device, sorted.
template <class F>
std::vector<double> sorted(const Devices& devices, F f) {
  std::vector<double> values;
  for (std::int64_t k = 0; k < devices.size(); ++k) values.push_back(f(devices.device(k)));
  std::sort(values.begin(), values.end());
  return values;
}

double quantile(const std::vector<double>& values, double share) { return values[static_cast<std::size_t>(share * static_cast<double>(values.size()))]; }

/// Half the way between the quantiles that are one deviation from the mean, of the logarithms.
double log_deviation(const std::vector<double>& values) { return std::log(quantile(values, 0.841345) / quantile(values, 0.158655)) / 2; }

double speed(const Device& d) { return d.ms_per_example; }
double down(const Device& d) { return d.down_bytes_per_s; }
double up(const Device& d) { return d.up_bytes_per_s; }

struct Folder {
  Folder() : path(fs::temp_directory_path() / "starling_devices_test") {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
  }
  fs::path path;
};

}  // namespace

TEST_CASE("speeds are distributed as their profiles say") {
  const auto log_normal = sorted(Devices(options("lognormal")), speed);
  CHECK(quantile(log_normal, 0.5) == doctest::Approx(40).epsilon(0.02));
  CHECK(log_deviation(log_normal) == doctest::Approx(0.9).epsilon(0.02));
  CHECK(log_normal.front() == 5);
  CHECK(log_normal.back() == 800);
  CHECK(quantile(log_normal, 0.99) / quantile(log_normal, 0.01) > 30);
  DeviceOptions wide = options("phones");
  wide.sigma = 0.25;
  CHECK(log_deviation(sorted(Devices(wide), speed)) == doctest::Approx(0.25).epsilon(0.02));
  const auto groups = sorted(Devices(options("groups")), speed);
  CHECK(std::abs(static_cast<double>(std::count(groups.begin(), groups.end(), 28.0)) / kMany - 0.25) < 0.005);
  CHECK(std::abs(static_cast<double>(std::count(groups.begin(), groups.end(), 40.0)) / kMany - 0.50) < 0.005);
  CHECK(std::abs(static_cast<double>(std::count(groups.begin(), groups.end(), 52.0)) / kMany - 0.25) < 0.005);
  const auto zipf = sorted(Devices(options("zipf")), speed);
  double sum = 0;
  for (int k = 1; k <= 20; ++k) sum += std::pow(k, -1.2);
  for (const int k : {1, 2, 3, 10, 20})
    CHECK(std::abs(static_cast<double>(std::count(zipf.begin(), zipf.end(), 40.0 * k)) / kMany - std::pow(k, -1.2) / sum) < 0.005);
  CHECK(zipf.back() == 800);
}

TEST_CASE("links are distributed as their profiles say") {
  const Devices log_normal(options("lognormal"));
  const auto rates = sorted(log_normal, down), ups = sorted(log_normal, up);
  CHECK(quantile(rates, 0.5) == doctest::Approx(600e3).epsilon(0.02));
  CHECK(log_deviation(rates) == doctest::Approx(1.1).epsilon(0.02));
  CHECK(quantile(ups, 0.5) == doctest::Approx(200e3).epsilon(0.02));
  CHECK(log_normal.device(5).round_trip_s == 0.05);
  DeviceOptions o = options("uniform", "lognormal");
  o.links.down_mbit = 80;
  o.links.up_mbit = 8;
  o.links.delay_ms = 5;
  const Devices faster(o);
  CHECK(quantile(sorted(faster, down), 0.5) == doctest::Approx(10e6).epsilon(0.02));
  CHECK(quantile(sorted(faster, up), 0.5) == doctest::Approx(1e6).epsilon(0.02));
  CHECK(faster.device(5).round_trip_s == 0.01);
  o.links.profile = "uniform";
  CHECK(Devices(o).device(3).down_bytes_per_s == 10e6);
  CHECK(Devices(o).device(3).up_bytes_per_s == 1e6);
  CHECK(Devices(options("uniform")).device(3).down_bytes_per_s == 0);
  const auto mixed = sorted(Devices(options("uniform", "mixed")), down);
  for (const double rate : {30e3, 100e3, 600e3, 2000e3, 9000e3}) {
    const auto below = [&](double median) { return std::erfc(-std::log(rate / median) / 1.1 / std::sqrt(2.0)) / 2; };
    const double expected = 0.6 * below(2000e3) + 0.3 * below(600e3) + 0.1 * below(100e3);
    const auto found = std::upper_bound(mixed.begin(), mixed.end(), rate) - mixed.begin();
    CHECK(std::abs(static_cast<double>(found) / kMany - expected) < 0.005);
  }
}

TEST_CASE("a device of a file takes its time, fails when it leaves and by itself as often as it says") {
  const Folder folder;
  folder.write("devices.jsonl",
               "{\"id\": 0, \"c_ms\": 30, \"down_kBps\": 500, \"up_kBps\": 500, \"period_s\": 100, \"intervals\": [[10, 30], [40, 90]]}\n"
               "{\"id\": 1, \"c_ms\": 30, \"down_kBps\": 500, \"up_kBps\": 500, \"p_fail\": 0.3}\n");
  DeviceOptions o = options("file");
  o.file = (folder.path / "devices.jsonl").string();
  const Load load{10, 20, 1000e3, 1000e3};
  const Devices stays(o);
  CHECK(stays.seconds(0, 1, load, 50) == doctest::Approx(22));
  CHECK_FALSE(stays.task(0, 1, load, 20).fails);
  o.dropout = true;
  const Devices leaves(o);
  CHECK(leaves.available(0, 110));
  CHECK_FALSE(leaves.available(0, 135));
  CHECK(leaves.available(1, 135));
  CHECK(leaves.available(2, 110));  // the first line again
  CHECK_FALSE(leaves.available(2, 135));
  const Fate in_time = leaves.task(0, 1, load, 140), late = leaves.task(0, 1, load, 170), sooner = leaves.task(0, 1, load, 115.5);
  CHECK(in_time.seconds == doctest::Approx(22));
  CHECK_FALSE(in_time.fails);
  CHECK(late.seconds == 20);
  CHECK(late.fails);
  CHECK(sooner.seconds == 14.5);
  CHECK(sooner.fails);
  CHECK(*leaves.next_change(95) == 110);
  CHECK(*leaves.next_change(115) == 140);
  int failed = 0;
  for (std::int64_t round = 0; round < 20'000; ++round) failed += leaves.task(1, round, load, 0).fails ? 1 : 0;
  CHECK(failed / 20'000.0 == doctest::Approx(0.3).epsilon(0.03));
  o.failure = 0.5;
  const Devices both(o);
  failed = 0;
  for (std::int64_t round = 0; round < 20'000; ++round) failed += both.fails(1, round) ? 1 : 0;
  CHECK(failed / 20'000.0 == doctest::Approx(1 - 0.5 * 0.7).epsilon(0.03));
}

TEST_CASE("dropout ends the tasks of phones that leave") {
  DeviceOptions o = options("phones");
  o.availability = "markov";
  o.dropout = true;
  const Devices devices(o);
  const Load load{100, 32, 1e6, 1e6};
  int kept = 0, cut = 0;
  for (std::int64_t k = 0; k < 5000; ++k) {
    if (!devices.available(k, 5000)) continue;
    const double whole = devices.seconds(k, 1, load, 5000), left = *devices.leaves(k, 5000) - 5000;
    const Fate fate = devices.task(k, 1, load, 5000);
    CHECK(fate.fails == (left < whole));
    CHECK(fate.seconds == std::min(left, whole));
    (fate.fails ? cut : kept) += 1;
  }
  CHECK(kept > 100);
  CHECK(cut > 100);
}

TEST_CASE("a task over recorded links and a busy processor takes what the recordings say") {
  const Folder folder;
  folder.write("mahimahi-lte/steady.down", "1\n");  // 12 Mbit/s
  folder.write("mahimahi-lte/steady.up", "4\n");    // 3 Mbit/s
  std::string half;
  for (int i = 0; i < 288; ++i) half += "50\n";
  folder.write("planetlab-cpu/node", half);
  const std::string planetlab = (folder.path / "planetlab-cpu").string();
  REQUIRE(std::system(("tar -C '" + planetlab + "' -czf '" + planetlab + "/20110303.tar.gz' node").c_str()) == 0);
  DeviceOptions o = options("uniform", "lte");
  o.folder = folder.path;
  o.clients = 100;
  const Load load{10, 10, 1.5e6, 1.5e6};
  const double compute = 3 * 100 * 0.040;
  const Devices links(o);
  CHECK(links.device(3).down_bytes_per_s == 1.5e6);
  for (std::int64_t k = 0; k < o.clients; ++k) {
    const double took = links.seconds(k, 1, load, 1000.0 * static_cast<double>(k));
    CHECK(std::abs(took - (0.05 + 1 + compute + 4)) <= 0.0051);  // each wait for a first packet is at most 1 ms and 4 ms
    CHECK(took == links.seconds(k, 1, load, 1000.0 * static_cast<double>(k)));
  }
  o.background = "planetlab";
  CHECK(std::abs(Devices(o).seconds(3, 1, load, 77) - (0.05 + 1 + 2 * compute + 4)) <= 0.0051);
  o.links.profile = "uniform";
  CHECK(Devices(o).seconds(3, 1, load, 77) == doctest::Approx(2 * compute));
}

TEST_CASE("the real recordings make devices differ, and by time") {
  const auto file = tests::data_file("norway-3g/cooked_3gp.tar.gz");
  if (!file) return;
  for (const std::string links : {"lte", "norway-3g"}) {
    CAPTURE(links);
    DeviceOptions o = options("ai-benchmark", links);
    o.folder = file->parent_path().parent_path();
    o.background = "planetlab";
    o.clients = 2000;
    const Devices devices(o);
    const auto speeds = sorted(devices, speed);
    CHECK(quantile(speeds, 0.5) == doctest::Approx(40).epsilon(0.15));  // of 2000 draws among 307 phones
    CHECK(speeds.front() < 5);
    CHECK(speeds.back() > 500);
    int other_time = 0;
    const Load load{20, 32, 1e6, 1e6};
    for (std::int64_t k = 0; k < 200; ++k) {
      const Device d = devices.device(k);
      const double now = devices.seconds(k, 1, load, 0), later = devices.seconds(k, 1, load, 3600);
      CHECK(now > task_seconds({d.ms_per_example, 0, 0, d.round_trip_s}, load, 0, 0) * (1 - 1e-9));
      other_time += now != later ? 1 : 0;
    }
    CHECK(other_time > 190);
  }
}

TEST_CASE("ten million devices are there at once") {
  DeviceOptions o = options("phones");
  o.clients = 10'000'000;
  const auto start = std::chrono::steady_clock::now();
  const Devices devices(o);
  CHECK(devices.size() == o.clients);
  CHECK(devices.device(9'999'999).ms_per_example > 0);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("what cannot be is refused by name") {
  CHECK_THROWS_WITH_AS(Devices(options("fones")), doctest::Contains("known: uniform groups lognormal phones"), core::Error);
  CHECK_THROWS_WITH_AS(Devices(options("phones", "lta")), doctest::Contains("known: as-devices uniform lognormal"), core::Error);
  CHECK_THROWS_WITH_AS(Devices(options("file")), doctest::Contains("needs a file"), core::Error);
  DeviceOptions o = options("phones", "lte");
  o.links.up_mbit = 3;
  CHECK_THROWS_WITH_AS(Devices{o}, doctest::Contains("has rates of its own"), core::Error);
  o = options("phones");
  o.file = "x";
  CHECK_THROWS_WITH_AS(Devices{o}, doctest::Contains("have no use for one"), core::Error);
  o = options("phones");
  o.background = "seti";
  CHECK_THROWS_WITH_AS(Devices{o}, doctest::Contains("known: none planetlab"), core::Error);
  o = options("phones");
  o.availability = "sometimes";
  CHECK_THROWS_WITH_AS(Devices{o}, doctest::Contains("availability 'sometimes' is unknown"), core::Error);
  o = options("file");
  o.file = "/nowhere/devices.jsonl";
  CHECK_THROWS_WITH_AS(Devices{o}, doctest::Contains("/nowhere/devices.jsonl"), core::Error);
}
