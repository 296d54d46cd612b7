// What a worker accepts as a step: hostile values are refused by field name before anything is read or computed.
#include "partition/shard_step.h"

#include <algorithm>
#include <cstring>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using partition::StepBuffer;
using partition::StepSegment;

namespace {

constexpr partition::StepLimits kLimits{.sequences = 4, .positions = 100, .rows = 8, .width = 3};

std::string refusal(std::span<const std::byte> frame) {
  StepBuffer worker(kLimits);
  try {
    std::copy(frame.begin(), frame.end(), worker.receive(frame.size(), "master").begin());
    worker.decode("master");
  } catch (const core::Error& error) {
    CHECK(error.kind() == core::Kind::malformed);
    return error.what();
  }
  return "";
}

std::vector<std::byte> frame_of(std::span<const StepSegment> segments) {
  StepBuffer master(kLimits);
  master.set(segments);
  std::fill(master.hidden().begin(), master.hidden().end(), 1.5f);
  return {master.bytes().begin(), master.bytes().end()};
}

/// The valid frame with one of its 32-bit words replaced.
std::string with_word(std::size_t index, std::uint32_t value) {
  const StepSegment segments[] = {{1, 1, 99, 1}, {3, 0, 40, 4}};
  auto frame = frame_of(segments);
  std::memcpy(frame.data() + 4 * index, &value, 4);
  return refusal(frame);
}

}  // namespace

TEST_CASE("a step survives the wire") {
  const StepSegment segments[] = {{1, 1, 99, 1}, {3, 0, 40, 4}};
  const auto frame = frame_of(segments);
  StepBuffer worker(kLimits);
  std::copy(frame.begin(), frame.end(), worker.receive(frame.size(), "master").begin());
  worker.decode("master");
  CHECK(std::equal(worker.segments().begin(), worker.segments().end(), std::begin(segments), std::end(segments)));
  CHECK(worker.rows() == 5);
  CHECK(std::count(worker.hidden().begin(), worker.hidden().end(), 1.5f) == 15);
}

TEST_CASE("every impossible value of a step is refused by name") {
  CHECK(with_word(0, 2) == "");
  CHECK(with_word(0, 0).find("step of 0 segments") != std::string::npos);
  CHECK(with_word(0, 5).find("step of 5 segments: expected 1 to 4") != std::string::npos);
  CHECK(with_word(0, 1).find("rows and 1 segments in") != std::string::npos);
  CHECK(with_word(1, 0).find("step of 0 rows") != std::string::npos);
  CHECK(with_word(1, 4).find("step of 4 rows") != std::string::npos);
  CHECK(with_word(1, 0xffffffff).find("expected 1 to 8 rows of 3 floats") != std::string::npos);
  CHECK(with_word(2, 1).find("reserved") != std::string::npos);
  CHECK(with_word(4, 4).find("segment 0: slots 4 and 1 of 4") != std::string::npos);
  CHECK(with_word(5, 0xffffffff).find("segment 0: slots 1 and 4294967295 of 4") != std::string::npos);
  CHECK(with_word(6, 100).find("segment 0: 1 rows at position 100: the cache holds 100") != std::string::npos);
  CHECK(with_word(6, 0xffffffff).find("segment 0") != std::string::npos);
  CHECK(with_word(7, 0).find("segment 0: 0 rows") != std::string::npos);
  CHECK(with_word(7, 0xffffffff).find("segment 0") != std::string::npos);
  CHECK(with_word(8, 1).find("segments 0 and 1 share slot 1") != std::string::npos);
  CHECK(with_word(11, 3).find("segments of 4 rows in all, the step has 5") != std::string::npos);
}

TEST_CASE("a step cut short or too long is refused before it is taken in") {
  const StepSegment segments[] = {{0, 0, 0, 8}, {1, 1, 0, 1}};
  CHECK_THROWS_AS(frame_of(segments), core::Error);  // nine rows
  const StepSegment full[] = {{0, 0, 0, 2}, {1, 1, 0, 2}, {2, 2, 0, 2}, {3, 3, 0, 2}};
  const auto frame = frame_of(full);
  CHECK(refusal(frame) == "");
  for (std::size_t n = 0; n < frame.size(); ++n) CHECK(refusal(std::span(frame).first(n)) != "");
  StepBuffer worker(kLimits);
  CHECK_THROWS_AS(worker.receive(frame.size() + 1, "master"), core::Error);
  CHECK_THROWS_AS(worker.receive(~std::uint64_t{0}, "master"), core::Error);
}
