// Clients without storage: the same examples each time, near or far from each other as asked, and worth learning.
#include "core/data/synthetic.h"

#include <cmath>
#include <set>

#include "core/data/dataset.h"
#include "core/random.h"
#include "core/train/model.h"
#include "core/train/optimizer.h"
#include "tests/said.h"

using namespace starling;
using namespace starling::core;
using tests::contains;
using tests::said;

namespace {

Examples made(const SyntheticOptions& options, std::uint64_t client) {
  Examples e;
  Synthetic(options).fill(client, e);
  return e;
}

/// Accuracy on the test examples of a logistic regression that saw each of `clients` once.
double learned(const SyntheticOptions& options, std::uint64_t clients) {
  const Synthetic data(options);
  ModelOptions shape;
  shape.name = "logistic";
  shape.input = options.input;
  shape.classes = options.classes;
  const auto model = make_model(shape);
  Parameters p(model->layout());
  initialise(p, 1);
  Pool pool(1);
  Tape tape(pool, true, true);
  const auto optimizer = make_optimizer({});
  Examples e;
  for (std::uint64_t client = 0; client < clients; ++client) {
    data.fill(client, e);
    tape.begin(p);
    p.clear_gradients();
    tape.backward(cross_entropy(tape, model->logits(tape, {e.count, e.values, e.tokens, e.labels}), e.labels));
    optimizer->step(p, 0.5);
  }
  const Examples test = data.test();
  Tape evaluation(pool, false, false);
  evaluation.begin(p);
  const auto scores = evaluation.value(model->logits(evaluation, {test.count, test.values, test.tokens, test.labels}));
  const auto classes = static_cast<std::size_t>(options.classes);
  int right = 0;
  for (std::size_t i = 0; i < test.labels.size(); ++i) {
    const auto row = scores.subspan(i * classes, classes);
    right += std::max_element(row.begin(), row.end()) - row.begin() == test.labels[i] ? 1 : 0;
  }
  return right / static_cast<double>(test.count);
}

}  // namespace

TEST_CASE("many random words at once are those that come one block at a time") {
  for (const std::size_t count : {1u, 4u, 7u, 64u}) {
    std::vector<std::uint64_t> words(count);
    random_fill(5, Purpose::data, {1, 2, 3}, words);
    for (std::size_t i = 0; i < count; ++i) CHECK(words[i] == random_bits(5, Purpose::data, {1, 2, 3}, i / 4)[i % 4]);
  }
}

TEST_CASE("a client's examples depend on its number and the seed alone") {
  const SyntheticOptions options;
  const Synthetic data(options);
  Examples one, other;
  data.fill(999'999, one);
  data.fill(7, other);
  CHECK(one.values != other.values);
  data.fill(999'999, other);  // into memory that held another client
  CHECK(one.values == other.values);
  CHECK(one.labels == other.labels);
  other.validate("a client");
  CHECK(other.count == 20);
  CHECK(other.values_each == 64);
  SyntheticOptions another = options;
  another.seed = 2;
  CHECK(made(another, 999'999).values != one.values);
}

TEST_CASE("values have the spread that the options ask for") {
  SyntheticOptions options;
  options.alpha = options.beta = 0;
  options.examples = 20'000;
  const Examples e = made(options, 3);
  for (const std::size_t j : {0u, 1u, 63u}) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < 20'000; ++i) {
      const auto v = static_cast<double>(e.values[i * 64 + j]);
      sum += v;
      squares += v * v;
    }
    const double deviation = std::pow(static_cast<double>(j + 1), -0.6);
    CHECK(std::abs(sum / 20'000) < 0.03 * deviation);
    CHECK(std::sqrt(squares / 20'000) == doctest::Approx(deviation).epsilon(0.02));
  }
  options.examples = 200;
  const auto mean_of_first = [&](std::uint64_t client) {
    const Examples some = made(options, client);
    double sum = 0;
    for (std::size_t i = 0; i < 200; ++i) sum += static_cast<double>(some.values[i * 64]) / 200;
    return sum;
  };
  options.beta = 4;
  double squares = 0;
  for (std::uint64_t client = 0; client < 300; ++client) squares += std::pow(mean_of_first(client), 2) / 300;
  CHECK(std::sqrt(squares) == doctest::Approx(2).epsilon(0.1));
}

TEST_CASE("what alike clients have learned holds for others, what different ones have learned less so") {
  SyntheticOptions options;
  options.classes = 5;
  options.alpha = options.beta = 0;
  const double alike = learned(options, 1000);
  options.alpha = options.beta = 1;
  const double different = learned(options, 1000);
  MESSAGE("accuracy ", alike, " and ", different);
  CHECK(alike > 0.85);
  CHECK(different < alike - 0.1);
  CHECK(different > 0.3);
}

TEST_CASE("the data set 'synthetic' is a shape and test examples, of images too") {
  DatasetOptions o;
  o.name = "synthetic";
  o.synthetic.input = {1, 28, 28};
  o.synthetic.classes = 62;
  o.synthetic.test_examples = 105;
  const Dataset d = load_dataset(o);
  CHECK(d.made_per_client);
  CHECK(d.train.count == 0);
  CHECK(d.input == Shape{1, 28, 28});
  CHECK(d.test.count == 105);
  CHECK(d.test.values_each == 784);
  CHECK(std::set<std::int32_t>(d.test.labels.begin(), d.test.labels.end()).size() > 20);
  CHECK(*std::max_element(d.test.labels.begin(), d.test.labels.end()) < 62);
}

TEST_CASE("impossible synthetic data is refused by the option's name") {
  const auto refused = [](auto change) {
    SyntheticOptions o;
    change(o);
    return said([&] { Synthetic{o}; }, Kind::usage);
  };
  CHECK(contains(refused([](auto& o) { o.input = {}; }), "examples of  values"));
  CHECK(contains(refused([](auto& o) { o.input = {1 << 20, 1 << 20, 0}; }), "expected 1 to 1048576"));
  CHECK(contains(refused([](auto& o) { o.classes = 0; }), "0 classes"));
  CHECK(contains(refused([](auto& o) { o.examples = 0; }), "0 examples of a client"));
  CHECK(contains(refused([](auto& o) { o.beta = -1; }), "beta = -1"));
}
