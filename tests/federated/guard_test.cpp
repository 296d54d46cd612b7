// What every reply passes: each reason by its name, wherever in the update it lies.
#include "federated/guard.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

using namespace starling::federated;

namespace {

TaskReply reply_of(std::vector<float> model) {
  TaskReply r;
  r.client = 3;
  r.examples = 10;
  r.model = std::move(model);
  return r;
}

}  // namespace

TEST_CASE("a reply is refused by the reason's name") {
  const std::vector<float> start(7, 1.0f);
  const RoundsPolicy any;
  CHECK(guard(reply_of(start), 3, start, any).empty());
  CHECK(guard(reply_of(start), 4, start, any) == "client");
  CHECK(guard(reply_of({1, 2}), 3, start, any) == "shape");
  for (const double examples : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
    TaskReply r = reply_of(start);
    r.examples = examples;
    CHECK(guard(r, 3, start, any) == "weight");
  }
  RoundsPolicy modest;
  modest.examples_max = 9;
  CHECK(guard(reply_of(start), 3, start, modest) == "weight");
  TaskReply r = reply_of(start);
  r.loss = std::nan("");
  CHECK(guard(r, 3, start, any) == "nonfinite");
  r = reply_of(start);
  r.control = {0, std::numeric_limits<float>::infinity()};
  CHECK(guard(r, 3, start, any) == "nonfinite");
}

TEST_CASE("a value that is none is found at every place, and a move is as long as it is at every size") {
  for (std::size_t size = 1; size <= 9; ++size) {
    CAPTURE(size);
    const std::vector<float> start(size, 0.5f);
    for (std::size_t i = 0; i < size; ++i)
      for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
        std::vector<float> model = start;
        model[i] = bad;
        CHECK(guard(reply_of(model), 3, start, {}) == "nonfinite");
      }
    // Every value has moved by 2.
    RoundsPolicy policy;
    policy.norm_max = std::sqrt(4.0 * static_cast<double>(size)) * (1 + 1e-12);
    CHECK(guard(reply_of(std::vector<float>(size, 2.5f)), 3, start, policy).empty());
    policy.norm_max *= 1 - 1e-9;
    CHECK(guard(reply_of(std::vector<float>(size, 2.5f)), 3, start, policy) == "norm");
  }
}
