// Normalisation, recurrent layers, attention, embeddings, dropout.
#include "tests/core/gradients.h"

using namespace starling;
using core::Activation;
using core::Tape;
using core::Var;
using tests::along;
using tests::check_gradients;

namespace {

std::vector<float> values_of(core::Parameters& p, bool training, const tests::Loss& build) {
  core::Pool pool(2);
  Tape tape(pool, false, training);
  tape.begin(p);
  const Var v = build(tape);
  return {tape.value(v).begin(), tape.value(v).end()};
}

}  // namespace

TEST_CASE("normalisations have the right gradients") {
  tests::Model m;
  const auto x = m.add("x", {4, 6, 3, 2}), gain = m.add("gain", {6}), bias = m.add("bias", {6});
  const auto mean = m.add("mean", {6}, 0.1, core::Part::statistic), variance = m.add("variance", {6}, 0.1, core::Part::statistic);
  const auto wide = m.add("wide", {5, 8}), wide_gain = m.add("wide_gain", {8}), wide_bias = m.add("wide_bias", {8});
  auto p = m.parameters();
  for (float& v : p.value(variance)) v = 0.5f + std::abs(v);
  const core::BatchNorm norm{gain, bias, mean, variance};
  for (const bool training : {true, false})
    check_gradients(p, [&](Tape& t) { return along(t, batch_norm(t, t.parameter(x), norm)); }, 1e-2, 1e-2f, training);
  for (const std::int64_t groups : {1, 2, 6})
    check_gradients(p, [&](Tape& t) { return along(t, group_norm(t, t.parameter(x), t.parameter(gain), t.parameter(bias), groups)); }, 1e-2);
  check_gradients(p, [&](Tape& t) { return along(t, layer_norm(t, t.parameter(wide), t.parameter(wide_gain), t.parameter(wide_bias))); }, 1e-2);
  check_gradients(p, [&](Tape& t) { return along(t, rms_norm(t, t.parameter(wide), t.parameter(wide_gain))); }, 1e-2);
}

TEST_CASE("batch norm keeps running statistics in training and uses them otherwise") {
  tests::Model m;
  const auto x = m.add("x", {2, 1, 2, 2});
  const auto gain = m.add("gain", {1}), bias = m.add("bias", {1});
  const auto mean = m.add("mean", {1}, 0, core::Part::statistic), variance = m.add("variance", {1}, 0, core::Part::statistic);
  core::Parameters p(m.layout);
  const std::vector<float> numbers{1, 2, 3, 4, 5, 6, 7, 8};
  std::copy(numbers.begin(), numbers.end(), p.value(x).begin());
  p.value(gain)[0] = 2;
  p.value(bias)[0] = 10;
  p.value(variance)[0] = 1;
  const core::BatchNorm norm{gain, bias, mean, variance};
  const auto build = [&](Tape& t) { return batch_norm(t, t.parameter(x), norm); };
  const auto trained = values_of(p, true, build);
  // Mean 4.5, variance 5.25, unbiased 6.
  CHECK(trained[0] == doctest::Approx(10 + 2 * (1 - 4.5) / std::sqrt(5.25 + 1e-5)));
  CHECK(p.value(mean)[0] == doctest::Approx(0.45));
  CHECK(p.value(variance)[0] == doctest::Approx(0.9 + 0.6));
  const auto used = values_of(p, false, build);
  CHECK(used[7] == doctest::Approx(10 + 2 * (8 - 0.45) / std::sqrt(1.5 + 1e-5)));
  CHECK(p.value(mean)[0] == doctest::Approx(0.45));
}

TEST_CASE("a batch norm with its relu and shortcut in one has the bits of the three operations") {
  tests::Model m;
  const auto x = m.add("x", {3, 5, 4, 3}), other = m.add("other", {3, 5, 4, 3}), gain = m.add("gain", {5}), bias = m.add("bias", {5});
  const auto mean = m.add("mean", {5}, 0, core::Part::statistic), variance = m.add("variance", {5}, 0, core::Part::statistic);
  const core::BatchNorm norm{gain, bias, mean, variance};
  for (const bool with_shortcut : {false, true}) {
    const auto run = [&](bool one) {
      auto p = m.parameters();
      core::Pool pool(2);
      Tape t(pool, true, true);
      t.begin(p);
      p.clear_gradients();
      // Neither x nor the shortcut is a parameter, so that their gradients begin with the norm; the shortcut is used twice.
      const Var in = activate(t, Activation::tanh, t.parameter(x)), shortcut = activate(t, Activation::tanh, t.parameter(other));
      Var y{};
      if (one)
        y = with_shortcut ? batch_norm_add_relu(t, in, norm, shortcut) : batch_norm_relu(t, in, norm);
      else
        y = activate(t, Activation::relu, with_shortcut ? add(t, batch_norm(t, in, norm), shortcut) : batch_norm(t, in, norm));
      const Var loss = along(t, add(t, y, shortcut));
      t.backward(loss);
      std::vector<float> all = p.gradients;
      all.insert(all.end(), t.value(y).begin(), t.value(y).end());
      return all;
    };
    CHECK(run(true) == run(false));
  }
}

TEST_CASE("recurrent layers have the right gradients, and the values of their equations") {
  for (const std::int64_t gates : {4, 3}) {
    CAPTURE(gates);
    tests::Model m;
    const auto x = m.add("x", {4, 3, 5}), w_in = m.add("w_in", {gates * 6, 5}), w_hidden = m.add("w_hidden", {gates * 6, 6});
    const auto b_in = m.add("b_in", {gates * 6}), b_hidden = m.add("b_hidden", {gates * 6});
    auto p = m.parameters();
    const auto run = [&](Tape& t) {
      const core::Recurrent w{t.parameter(w_in), t.parameter(w_hidden), t.parameter(b_in), t.parameter(b_hidden)};
      return gates == 4 ? lstm(t, t.parameter(x), w) : gru(t, t.parameter(x), w);
    };
    check_gradients(p, [&](Tape& t) { return along(t, run(t)); }, 1e-2);
    check_gradients(p, [&](Tape& t) { return along(t, time_step(t, run(t), -1)); }, 1e-2);
    const auto found = values_of(p, true, run);
    // The equations, one number at a time, in double.
    const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    const auto number = [&](std::size_t entry, std::int64_t at) { return static_cast<double>(p.value(entry)[static_cast<std::size_t>(at)]); };
    for (std::int64_t b = 0; b < 3; ++b) {
      std::vector<double> h(6), c(6);
      for (std::int64_t step = 0; step < 4; ++step) {
        std::vector<double> in(static_cast<std::size_t>(gates * 6)), hidden(in.size());
        for (std::int64_t r = 0; r < gates * 6; ++r) {
          const auto at = static_cast<std::size_t>(r);
          in[at] = number(b_in, r);
          hidden[at] = number(b_hidden, r);
          for (std::int64_t i = 0; i < 5; ++i) in[at] += number(w_in, r * 5 + i) * number(x, (step * 3 + b) * 5 + i);
          for (std::int64_t i = 0; i < 6; ++i) hidden[at] += number(w_hidden, r * 6 + i) * h[static_cast<std::size_t>(i)];
        }
        for (std::size_t i = 0; i < 6; ++i) {
          if (gates == 4) {
            c[i] = sigmoid(in[6 + i] + hidden[6 + i]) * c[i] + sigmoid(in[i] + hidden[i]) * std::tanh(in[12 + i] + hidden[12 + i]);
            h[i] = sigmoid(in[18 + i] + hidden[18 + i]) * std::tanh(c[i]);
          } else {
            const double fresh = std::tanh(in[12 + i] + sigmoid(in[i] + hidden[i]) * hidden[12 + i]), update = sigmoid(in[6 + i] + hidden[6 + i]);
            h[i] = (1 - update) * fresh + update * h[i];
          }
          CHECK(static_cast<double>(found[static_cast<std::size_t>((step * 3 + b) * 6) + i]) == doctest::Approx(h[i]).epsilon(1e-5));
        }
      }
    }
  }
}

TEST_CASE("attention has the right gradients and looks only back") {
  tests::Model m;
  const auto q = m.add("q", {2, 5, 8}), k = m.add("k", {2, 5, 4}), v = m.add("v", {2, 5, 4});
  auto p = m.parameters();
  for (const bool causal : {true, false})
    check_gradients(p, [&](Tape& t) {
      return along(t, attention(t, rotary(t, t.parameter(q), 2, 100), rotary(t, t.parameter(k), 2, 100), t.parameter(v), 4, 2, causal));
    }, 1e-2);
  const auto run = [&](Tape& t) { return attention(t, t.parameter(q), t.parameter(k), t.parameter(v), 4, 2, true); };
  const auto before = values_of(p, true, run);
  for (std::size_t i = 4 * 4; i < 5 * 4; ++i) p.value(v)[i] += 1;  // the last position of the first sequence
  const auto after = values_of(p, true, run);
  CHECK(std::equal(before.begin(), before.begin() + 4 * 8, after.begin()));
  CHECK(!std::equal(before.begin() + 4 * 8, before.begin() + 5 * 8, after.begin() + 4 * 8));
  CHECK(std::equal(before.begin() + 5 * 8, before.end(), after.begin() + 5 * 8));
}

TEST_CASE("causal attention over several blocks of positions equals its equation, and has the right gradients") {
  constexpr std::int64_t kLength = 70, kSize = 4;
  tests::Model m;
  const auto q = m.add("q", {1, kLength, 2 * kSize}), k = m.add("k", {1, kLength, kSize}), v = m.add("v", {1, kLength, kSize});
  auto p = m.parameters();
  const auto run = [&](Tape& t) { return attention(t, t.parameter(q), t.parameter(k), t.parameter(v), 2, 1, true); };
  const auto found = values_of(p, true, run);
  const auto at = [&](std::size_t entry, std::int64_t row, std::int64_t columns, std::int64_t column) {
    return static_cast<double>(p.value(entry)[static_cast<std::size_t>(row * columns + column)]);
  };
  for (const std::int64_t row : {0, 31, 32, 63, 64, 69})
    for (std::int64_t head = 0; head < 2; ++head) {
      std::vector<double> total(kSize);
      double sum = 0;
      for (std::int64_t other = 0; other <= row; ++other) {
        double score = 0;
        for (std::int64_t i = 0; i < kSize; ++i) score += at(q, row, 2 * kSize, head * kSize + i) * at(k, other, kSize, i);
        const double weight = std::exp(score / 2);
        sum += weight;
        for (std::int64_t i = 0; i < kSize; ++i) total[static_cast<std::size_t>(i)] += weight * at(v, other, kSize, i);
      }
      for (std::int64_t i = 0; i < kSize; ++i)
        CHECK(static_cast<double>(found[static_cast<std::size_t>((row * 2 + head) * kSize + i)]) ==
              doctest::Approx(total[static_cast<std::size_t>(i)] / sum).epsilon(1e-5));
    }
  check_gradients(p, [&](Tape& t) { return along(t, run(t)); }, 2e-2);
}

TEST_CASE("what transformers are made of has the right values and gradients") {
  tests::Model m;
  const auto x = m.add("x", {2, 3, 21}), gain = m.add("gain", {21}), gate = m.add("gate", {2, 19}, 2.0), up = m.add("up", {2, 19}), part = m.add("part", {3, 21});
  auto p = m.parameters();
  check_gradients(p, [&](Tape& t) { return along(t, rms_norm(t, t.parameter(x), t.parameter(gain))); }, 1e-2);
  check_gradients(p, [&](Tape& t) { return along(t, swiglu(t, t.parameter(gate), t.parameter(up))); });
  check_gradients(p, [&](Tape& t) { return along(t, mean_over_length(t, add_each(t, t.parameter(x), t.parameter(part)))); });
  const auto gated = values_of(p, true, [&](Tape& t) { return swiglu(t, t.parameter(gate), t.parameter(up)); });
  for (std::size_t i = 0; i < gated.size(); ++i) {
    const double g = static_cast<double>(p.value(gate)[i]);
    CHECK(static_cast<double>(gated[i]) == doctest::Approx(g / (1 + std::exp(-g)) * static_cast<double>(p.value(up)[i])).epsilon(1e-6));
  }
  const auto mean = values_of(p, true, [&](Tape& t) { return mean_over_length(t, add_each(t, t.parameter(x), t.parameter(part))); });
  double expected = 0;
  for (std::size_t row = 0; row < 3; ++row) expected += static_cast<double>(p.value(x)[(3 + row) * 21 + 5] + p.value(part)[row * 21 + 5]) / 3;
  CHECK(static_cast<double>(mean[21 + 5]) == doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("embeddings, products and dropout have the right gradients") {
  tests::Model m;
  const auto table = m.add("table", {7, 4}), w = m.add("w", {3, 4});
  auto p = m.parameters();
  const std::vector<std::int32_t> ids{3, 0, 3};
  check_gradients(p, [&](Tape& t) {
    const Var e = embedding(t, ids, t.parameter(table));
    return along(t, dropout(t, multiply(t, e, t.parameter(w)), 0.3f, 5, {1, 2, 3}));
  });
  CHECK_THROWS_AS(values_of(p, true, [&](Tape& t) { return embedding(t, std::vector<std::int32_t>{7}, t.parameter(table)); }), core::Error);
}

TEST_CASE("dropout leaves the promised share, the mean unchanged, and other places other values") {
  tests::Model m;
  const auto x = m.add("x", {100, 100});
  core::Parameters p(m.layout);
  std::fill(p.values.begin(), p.values.end(), 1.0f);
  const auto dropped = [&](std::uint64_t step, bool training) {
    return values_of(p, training, [&](Tape& t) { return dropout(t, t.parameter(x), 0.25f, 9, {0, 0, step}); });
  };
  const auto one = dropped(0, true);
  CHECK(one == dropped(0, true));
  CHECK(one != dropped(1, true));
  const auto zeros = std::count(one.begin(), one.end(), 0.0f);
  CHECK(zeros > 2300);
  CHECK(zeros < 2700);
  CHECK(*std::max_element(one.begin(), one.end()) == 1 / 0.75f);
  const auto all = dropped(0, false);
  CHECK(std::count(all.begin(), all.end(), 1.0f) == 10000);
}
