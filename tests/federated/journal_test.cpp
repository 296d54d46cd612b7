// A journal survives the disk, and what is no journal is refused by name.
#include "federated/journal.h"

#include <fstream>

#include <doctest/doctest.h>

#include "core/error.h"
#include "core/file.h"
#include "tests/temporary_folder.h"

using namespace starling;
using namespace starling::federated;

namespace {

Journal example() {
  Journal j;
  j.run = 0xfedcba9876543210u;
  j.server.round = 7;
  j.server.next_task = 71;
  j.server.next_timer = 9;
  j.server.failed_rounds = 1;
  j.server.model = std::make_shared<const std::vector<float>>(std::vector<float>{1, 2, 3});
  const auto old = std::make_shared<const std::vector<float>>(std::vector<float>{4, 5, 6});
  j.server.tasks = {{60, 3, 5, old, nullptr}, {65, 4, 6, j.server.model, old}};
  j.strategy["velocity"] = {0.5f, -0.25f};
  j.now = 1234.5678901234567;
  j.due = {{60, {1300.1, false}}, {65, {1400.2, true}}};
  j.traffic = {1, 2, 3, std::uint64_t{1} << 60};
  j.kept = 4711;
  return j;
}

}  // namespace

TEST_CASE("a journal is read as it was written") {
  const tests::TemporaryFolder folder;
  const Journal j = example();
  write_journal(folder / "journal", j);
  const Journal back = read_journal(folder / "journal");
  CHECK(back.run == j.run);
  CHECK(back.server.round == 7);
  CHECK(back.server.next_task == 71);
  CHECK(back.server.next_timer == 9);
  CHECK(back.server.failed_rounds == 1);
  CHECK(*back.server.model == *j.server.model);
  REQUIRE(back.server.tasks.size() == 2);
  CHECK(*back.server.tasks[0].model == std::vector<float>{4, 5, 6});
  CHECK(back.server.tasks[0].control == nullptr);
  CHECK(back.server.tasks[1].model == back.server.model);  // shared as before
  CHECK(back.server.tasks[1].control == back.server.tasks[0].model);
  CHECK(back.strategy == j.strategy);
  CHECK(back.now == j.now);
  CHECK(back.due == j.due);
  CHECK(back.traffic.up_wire == j.traffic.up_wire);
  CHECK(back.kept == 4711);
}

TEST_CASE("a broken journal is refused by name, cut off anywhere") {
  const tests::TemporaryFolder folder;
  write_journal(folder / "journal", example());
  const std::string whole = core::read_text(folder / "journal", 1 << 20);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(folder / "cut", std::ios::binary | std::ios::trunc) << whole.substr(0, length);
    CHECK_THROWS_WITH_AS(read_journal(folder / "cut"), doctest::Contains("cut"), core::Error);
  }
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    text.replace(text.find(from), from.size(), to);
    std::ofstream(folder / "changed", std::ios::binary | std::ios::trunc) << text;
    try {
      read_journal(folder / "changed");
    } catch (const core::Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(changed("starling-journal", "starling-jourmal").find("is no journal") != std::string::npos);
  CHECK(changed("\\\"version\\\":1", "\\\"version\\\":9").find("version 9") != std::string::npos);
  CHECK(changed("\\\"round\\\":7", "\\\"rount\\\":7").find("round") != std::string::npos);
  CHECK(changed("\\\"round\\\":7", "\\\"round\\\":0").find("round 0") != std::string::npos);
  CHECK_THROWS_WITH_AS(read_journal(folder / "nowhere"), doctest::Contains("nowhere"), core::Error);
}
