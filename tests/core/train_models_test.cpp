// The models by name: as many parameters as the literature says, and they learn.
#include <cmath>

#include <doctest/doctest.h>

#include "core/train/model.h"
#include "core/train/optimizer.h"

using namespace starling::core;

namespace {

std::int64_t learned(const ModelOptions& o) {
  std::int64_t sum = 0;
  const auto model = make_model(o);
  for (const ParameterEntry& e : model->layout()->entries())
    if (e.part != Part::statistic) sum += e.size;
  return sum;
}

ModelOptions options(const std::string& name, Shape input, std::int64_t classes = 10) {
  ModelOptions o;
  o.name = name;
  o.input = std::move(input);
  o.classes = classes;
  return o;
}

/// Loss after `steps` on one batch whose examples say their own class.
float loss_after(const ModelOptions& o, int steps, const OptimizerOptions& how, double rate) {
  const auto model = make_model(o);
  Parameters p(model->layout());
  initialise(p, 3);
  Pool pool(2);
  Tape tape(pool, true, true);
  const auto optimizer = make_optimizer(how);
  const bool text = o.name == "char-lstm" || o.name == "llama";
  constexpr std::int64_t kBatch = 8, kLength = 12;
  std::vector<std::int32_t> labels, tokens;
  std::vector<float> values;
  for (std::int64_t b = 0; b < kBatch; ++b) {
    for (std::int64_t i = 0; text && i < kLength; ++i) {
      tokens.push_back(static_cast<std::int32_t>((b + i * i) % o.classes));
      labels.push_back(static_cast<std::int32_t>((b + (i + 1) * (i + 1)) % o.classes));
    }
    if (text) continue;
    labels.push_back(static_cast<std::int32_t>(b % o.classes));
    for (std::int64_t i = 0; i < element_count(o.input); ++i) values.push_back(std::sin(static_cast<float>((b + 1) * i) * 0.1f));
  }
  const Batch batch{kBatch, values, tokens, labels};
  float loss = 0;
  for (int step = 0; step < steps; ++step) {
    tape.begin(p);
    p.clear_gradients();
    const Var l = cross_entropy(tape, model->logits(tape, batch), model->row_labels(batch));
    loss = tape.value(l)[0];
    tape.backward(l);
    optimizer->step(p, rate);
  }
  return loss;
}

}  // namespace

TEST_CASE("models have the number of parameters that the literature gives") {
  CHECK(learned(options("logistic", {1, 28, 28})) == 7850);
  CHECK(learned(options("mlp", {1, 28, 28})) == 199'210);
  CHECK(learned(options("fedavg-cnn", {1, 28, 28})) == 1'663'370);
  CHECK(learned(options("lenet5", {1, 28, 28})) == 44'426);
  CHECK(learned(options("lenet5", {3, 32, 32})) == 62'006);
  CHECK(learned(options("vgg9", {3, 32, 32})) == 3'491'530);
  ModelOptions slim = options("vgg9", {3, 32, 32});
  slim.slim = true;
  CHECK(learned(slim) == 219'706);
  CHECK(learned(options("resnet20", {3, 32, 32})) == 269'722);
  CHECK(learned(options("char-lstm", {80}, 80)) == 81'104);
  ModelOptions leaf = options("char-lstm", {80}, 80);
  leaf.layers = 2;
  leaf.width = 256;
  CHECK(learned(leaf) == 817'872);
  // Per block 4 D^2 + 4 D^2 matrices of width 64, 8 biases, 4 norm vectors.
  CHECK(learned(options("vit-tiny", {3, 32, 32})) == 3136 + 64 * 64 + 4 * (8 * 64 * 64 + 7 * 64 + 4 * 64) + 2 * 64 + 650);
  // Per block D^2 twice, D^2 / 2 twice, 3 D * 352; two norms.
  CHECK(learned(options("llama", {128}, 260)) == 2 * 260 * 128 + 128 + 4 * (3 * 128 * 128 + 3 * 128 * 352 + 2 * 128));
}

TEST_CASE("every model learns a batch by heart, with every optimiser") {
  OptimizerOptions sgd;
  sgd.momentum = 0.9;
  for (const auto& [name, input] : std::vector<std::pair<std::string, Shape>>{
           {"logistic", {1, 28, 28}}, {"mlp", {1, 28, 28}}, {"lenet5", {1, 28, 28}}, {"fedavg-cnn", {1, 28, 28}}, {"resnet8", {3, 16, 16}}, {"resnet20", {3, 16, 16}}}) {
    CAPTURE(name);
    CHECK(loss_after(options(name, input), 80, sgd, 0.02) < 0.5f);
  }
  ModelOptions slim = options("vgg9", {3, 16, 16});
  slim.slim = true;
  OptimizerOptions adam;
  adam.name = "adam";
  CHECK(loss_after(slim, 150, adam, 3e-3) < 0.5f);
  CHECK(loss_after(options("char-lstm", {12}, 20), 60, adam, 1e-2) < 0.5f);
  CHECK(loss_after(options("vit-tiny", {1, 28, 28}), 60, adam, 2e-3) < 0.5f);
  ModelOptions llama = options("llama", {12}, 20);
  llama.width = 64;
  llama.layers = 2;
  CHECK(loss_after(llama, 60, adam, 1e-2) < 0.5f);
  for (const std::string_view name : optimizer_names()) {
    CAPTURE(name);
    OptimizerOptions o;
    o.name = name;
    CHECK(loss_after(options("mlp", {1, 28, 28}), 40, o, name == "sgd" ? 0.1 : name == "adagrad" ? 0.02 : 1e-3) < 0.7f);
  }
}

TEST_CASE("what a model cannot be is said by name") {
  CHECK_THROWS_WITH_AS(make_model(options("lenet6", {1, 28, 28})), doctest::Contains("model 'lenet6' is unknown; known: logistic mlp lenet5"), Error);
  CHECK_THROWS_WITH_AS(make_model(options("lenet5", {784})), doctest::Contains("expected images of at least 16x16"), Error);
  CHECK_THROWS_WITH_AS(make_model(options("llama", {1, 28, 28})), doctest::Contains("examples of 1x28x28, expected texts"), Error);
  ModelOptions wrong = options("llama", {128}, 260);
  wrong.heads = 3;
  CHECK_THROWS_WITH_AS(make_model(wrong), doctest::Contains("3 heads of an even size do not divide the width 128"), Error);
  wrong = options("vit-tiny", {3, 32, 32});
  wrong.patch = 5;
  CHECK_THROWS_WITH_AS(make_model(wrong), doctest::Contains("patch 5 does not divide images of 32x32"), Error);
  OptimizerOptions o;
  o.name = "sdg";
  CHECK_THROWS_WITH_AS(make_optimizer(o), doctest::Contains("optimizer 'sdg' is unknown; known: sgd adam"), Error);
  o.name = "sgd";
  o.momentum = 1.5;
  CHECK_THROWS_AS(make_optimizer(o), Error);
  o.momentum = 0;
  o.nesterov = true;
  CHECK_THROWS_AS(make_optimizer(o), Error);
}

TEST_CASE("gradients are clipped to a length and keep their direction") {
  auto layout = std::make_shared<ParameterLayout>();
  layout->add("w", {2}, {});
  Parameters p(layout);
  p.gradients = {3, -4};
  CHECK(clip_gradients(p, 10) == 5);
  CHECK(p.gradients == std::vector<float>{3, -4});
  CHECK(clip_gradients(p, 1) == 5);
  CHECK(p.gradients[0] == doctest::Approx(0.6));
  CHECK(p.gradients[1] == doctest::Approx(-0.8));
}

TEST_CASE("schedules rise, fall and end as their formulas say") {
  Schedule s;
  s.kind = Schedule::Kind::cosine;
  s.warmup = 10;
  s.total = 110;
  s.floor = 0.01;
  CHECK(scheduled(s, 1, 0) == doctest::Approx(0.1));
  CHECK(scheduled(s, 1, 9) == doctest::Approx(1));
  CHECK(scheduled(s, 1, 60) == doctest::Approx(0.01 + 0.99 / 2));
  CHECK(scheduled(s, 1, 110) == doctest::Approx(0.01));
  CHECK(scheduled(s, 1, 500) == doctest::Approx(0.01));
  Schedule step;
  step.kind = Schedule::Kind::step;
  step.every = 30;
  CHECK(scheduled(step, 1, 65) == doctest::Approx(0.01));
}

TEST_CASE("weights begin with the deviation that He et al. ask for, biases at 0, and the layout is the same") {
  ModelOptions o;
  o.name = "lenet5";
  o.input = {1, 28, 28};
  const auto plain = make_model(o);
  o.initial = "he";
  const auto he = make_model(o);
  Parameters p(he->layout());
  initialise(p, 3);
  REQUIRE(he->layout()->entries().size() == plain->layout()->entries().size());
  for (std::size_t i = 0; i < he->layout()->entries().size(); ++i) {
    const ParameterEntry &e = he->layout()->entry(i), &same = plain->layout()->entry(i);
    CAPTURE(e.name);
    CHECK(e.name == same.name);
    CHECK(e.shape == same.shape);
    CHECK(e.offset == same.offset);
    double squares = 0;
    for (const float v : p.value(i)) squares += static_cast<double>(v) * static_cast<double>(v);
    const double deviation = std::sqrt(squares / static_cast<double>(e.size)), inputs = static_cast<double>(e.size / e.shape[0]);
    if (e.shape.size() == 1) CHECK(deviation == 0);
    else CHECK(deviation == doctest::Approx(std::sqrt(2 / inputs)).epsilon(4 / std::sqrt(2 * static_cast<double>(e.size))));
  }
  o.initial = "hee";
  CHECK_THROWS_AS(make_model(o), Error);
}
