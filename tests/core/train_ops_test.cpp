// Every operation of training: its gradient equals finite differences, and its value a closed form where there is one.
#include "tests/core/gradients.h"

using namespace starling;
using core::Activation;
using core::Tape;
using core::Var;
using tests::along;
using tests::check_gradients;

TEST_CASE("dense layers have the right gradients") {
  tests::Model m;
  const auto x = m.add("x", {5, 7}), w = m.add("w", {4, 7}), b = m.add("b", {4}), v = m.add("v", {3, 4});
  auto p = m.parameters();
  check_gradients(p, [&](Tape& t) { return along(t, dense(t, dense(t, t.parameter(x), t.parameter(w), t.parameter(b)), t.parameter(v))); });
}

TEST_CASE("convolutions and pooling have the right gradients") {
  tests::Model m;
  const auto x = m.add("x", {2, 2, 8, 8}), w = m.add("w", {3, 2, 3, 3}), b = m.add("b", {3}), w2 = m.add("w2", {4, 3, 3, 3});
  auto p = m.parameters();
  check_gradients(p, [&](Tape& t) {
    const Var y = conv2d(t, t.parameter(x), t.parameter(w), t.parameter(b), 1, 1);
    return along(t, conv2d(t, average_pool(t, y, 2, 2), t.parameter(w2), 2, 1));
  });
  check_gradients(p, [&](Tape& t) {
    const Var y = conv2d(t, t.parameter(x), t.parameter(w), t.parameter(b), 1, 0);
    return along(t, global_average_pool(t, conv2d(t, y, t.parameter(w2), 1, 1)));
  });
  // The largest of a window changes hands with a step: small steps, and values that are far apart.
  for (std::size_t i = 0; i < p.value(x).size(); ++i) p.value(x)[i] = static_cast<float>((i * 37) % 128) / 32.0f;
  check_gradients(p, [&](Tape& t) { return along(t, max_pool(t, t.parameter(x), 3, 2)); }, 5e-3, 4e-3f);
}

TEST_CASE("activations have the right values and gradients") {
  tests::Model m;
  const auto x = m.add("x", {3, 11}, 2.0);
  auto p = m.parameters();
  for (float& v : p.value(x))
    if (std::abs(v) < 0.05f) v = 0.3f;  // away from the kink of relu
  for (const Activation f : {Activation::relu, Activation::tanh, Activation::sigmoid, Activation::gelu, Activation::silu})
    check_gradients(p, [&](Tape& t) { return along(t, activate(t, f, t.parameter(x))); });
  core::Pool pool(1);
  for (double v = -12; v <= 12; v += 0.0137) {
    const auto in = static_cast<float>(v);
    const auto at = [&](Activation f) {
      float out = 0;
      core::activate(f, {&in, 1}, {&out, 1}, pool);
      return static_cast<double>(out);
    };
    const double d = static_cast<double>(in);
    CHECK(at(Activation::relu) == std::max(0.0, d));
    CHECK(at(Activation::tanh) == doctest::Approx(std::tanh(d)).epsilon(3e-7));
    CHECK(at(Activation::sigmoid) == doctest::Approx(1 / (1 + std::exp(-d))).epsilon(1e-6));
    CHECK(std::abs(at(Activation::gelu) - d * 0.5 * std::erfc(-d * std::sqrt(0.5))) < 1e-6);
    CHECK(at(Activation::silu) == doctest::Approx(d / (1 + std::exp(-d))).epsilon(1e-6));
  }
}

TEST_CASE("losses have the right values and gradients") {
  tests::Model m;
  const auto x = m.add("x", {4, 6}, 1.5), y = m.add("y", {4, 6});
  auto p = m.parameters();
  const std::vector<std::int32_t> labels{2, 0, -1, 5};
  const auto entropy = [&](Tape& t) { return cross_entropy(t, t.parameter(x), labels); };
  check_gradients(p, entropy);
  double expected = 0;
  for (const std::size_t row : {0u, 1u, 3u}) {
    double sum = 0;
    for (std::size_t i = 0; i < 6; ++i) sum += std::exp(static_cast<double>(p.value(x)[row * 6 + i]));
    expected += (std::log(sum) - static_cast<double>(p.value(x)[row * 6 + static_cast<std::size_t>(labels[row])])) / 3;
  }
  core::Pool pool(1);
  CHECK(static_cast<double>(tests::loss_of(p, entropy, pool, true)) == doctest::Approx(expected).epsilon(1e-6));
  std::vector<float> teacher;
  for (int i = 0; i < 24; ++i) teacher.push_back(std::cos(static_cast<float>(i)));
  check_gradients(p, [&](Tape& t) { return distillation(t, t.parameter(x), teacher, 2.5f); });
  check_gradients(p, [&](Tape& t) { return combine(t, 0.3f, entropy(t), 0.7f, distillation(t, t.parameter(x), teacher, 2.5f)); });
  check_gradients(p, [&](Tape& t) { return along(t, add(t, t.parameter(x), reshape(t, flatten(t, t.parameter(y)), {4, 6}))); });
  // A student equal to its teacher has nothing to learn.
  std::copy(teacher.begin(), teacher.end(), p.value(x).begin());
  CHECK(std::abs(tests::loss_of(p, [&](Tape& t) { return distillation(t, t.parameter(x), teacher, 2.5f); }, pool, true)) < 1e-6f);
  const std::vector<std::int32_t> wrong{2, 0, 6, 1};
  CHECK_THROWS_WITH_AS(tests::loss_of(p, [&](Tape& t) { return cross_entropy(t, t.parameter(x), wrong); }, pool, true),
                       "row 2: label 6 of 6 classes", core::Error);
}

TEST_CASE("a value that is used twice gets both gradients, and the input of a network none") {
  tests::Model m;
  const auto x = m.add("x", {2, 3});
  auto p = m.parameters();
  check_gradients(p, [&](Tape& t) {
    const Var a = activate(t, Activation::tanh, t.parameter(x));
    return along(t, add(t, a, activate(t, Activation::sigmoid, a)));
  });
  core::Pool pool(1);
  core::Tape tape(pool, true, true);
  tape.begin(p);
  const std::vector<float> numbers(6, 1.0f);
  const Var in = tape.constant({2, 3}, numbers);
  CHECK(!tape.wants(activate(tape, Activation::relu, in)));
  CHECK(tape.wants(add(tape, in, tape.parameter(x))));
}

TEST_CASE("a step's gradients have the same bits with any number of threads") {
  tests::Model m;
  const auto w = m.add("w", {8, 3, 3, 3}), b = m.add("b", {8}), v = m.add("v", {10, 8 * 16 * 16}), c = m.add("c", {10});
  std::vector<float> images(16 * 3 * 32 * 32);
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = std::sin(static_cast<float>(i));
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 16; ++i) labels.push_back(i % 10);
  const auto gradients = [&](int threads) {
    auto p = m.parameters(7);
    core::Pool pool(threads);
    core::Tape t(pool, true, true);
    for (int step = 0; step < 2; ++step) {
      t.begin(p);
      const Var h = max_pool(t, activate(t, Activation::relu, conv2d(t, t.constant({16, 3, 32, 32}, images), t.parameter(w), t.parameter(b), 1, 1)), 2, 2);
      t.backward(cross_entropy(t, dense(t, flatten(t, h), t.parameter(v), t.parameter(c)), labels));
    }
    return p.gradients;
  };
  const auto one = gradients(1);
  CHECK(gradients(2) == one);
  CHECK(gradients(5) == one);
}
