// What a cluster tells its user before it computes.
#include "tools/cluster.h"

#include <doctest/doctest.h>

using namespace starling;

namespace {

comm::NodeInfo node(const std::string& name, const std::string& simd) {
  comm::NodeInfo info;
  info.name = name;
  info.simd = simd;
  return info;
}

}  // namespace

TEST_CASE("processors that round differently are named") {
  CHECK(tools::unlike_arithmetic({node("master", "AVX3_DL"), node("pi", "NEON"), node("box", "AVX2")}) == "");
  CHECK(tools::unlike_arithmetic({node("master", "SSE4"), node("old", "SSSE3")}) == "");
  const std::string note = tools::unlike_arithmetic({node("master", "AVX2"), node("old", "SSE4"), node("pi", "NEON")});
  CHECK(note.find("old (SSE4)") != std::string::npos);
  CHECK(note.find("pi") == std::string::npos);
  CHECK(note.find("fused multiply-add") != std::string::npos);
}
