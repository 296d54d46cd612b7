// Local training, and federated averaging over it: one step of identical clients is a central step, full batches are
// central descent, and variants do what their papers say.
#include "federated/local_training.h"

#include <cmath>
#include <numeric>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using namespace starling::federated;

namespace {

/// Two features, three classes, from a formula.
Examples dataset(std::int64_t count) {
  Examples data;
  data.count = count;
  data.values_each = 6;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(i % 3);
    data.labels.push_back(label);
    for (int k = 0; k < 6; ++k) data.values.push_back(std::sin(static_cast<float>(i * 6 + k)) + (k % 3 == label ? 1.0f : 0.0f));
  }
  data.validate("formula");
  return data;
}

std::unique_ptr<core::TrainableModel> softmax_regression() {
  core::ModelOptions o;
  o.name = "logistic";
  o.input = {6};
  o.classes = 3;
  return core::make_model(o);
}

std::vector<std::uint32_t> range(std::uint32_t begin, std::uint32_t end) {
  std::vector<std::uint32_t> v(end - begin);
  std::iota(v.begin(), v.end(), begin);
  return v;
}

struct World {
  explicit World(std::int64_t count) : data(dataset(count)), trainer(*model, pool), x(static_cast<std::size_t>(model->layout()->size())) {
    core::Parameters p(model->layout());
    core::initialise(p, 1);
    x = p.values;
  }
  LocalResult train(std::int64_t client, const std::vector<std::uint32_t>& members, const LocalOptions& options, const LocalWork& work = {},
                    const ClientState& state = {}, std::span<const float> control = {}, std::int64_t round = 0) {
    return trainer.train({client, round, x, control, {&data, members}}, options, work, state);
  }
  /// One round of `name` over clients that hold `parts`.
  void round(Strategy& strategy, const std::vector<std::vector<std::uint32_t>>& parts, const LocalOptions& options, std::int64_t number,
             std::vector<ClientState>& states) {
    strategy.begin(x);
    for (std::size_t k = 0; k < parts.size(); ++k) {
      const LocalResult r = train(static_cast<std::int64_t>(k), parts[k], options, strategy.local_work(), states[k], strategy.control(), number);
      Reply reply;
      reply.client = static_cast<std::int64_t>(k);
      reply.examples = static_cast<double>(r.examples);
      reply.steps = r.steps;
      reply.normaliser = r.normaliser;
      reply.loss_at_start = r.loss_at_start;
      reply.model = r.model;
      reply.control = r.control_change;
      strategy.add(reply);
      states[k] = r.state;
    }
    strategy.finish(x);
  }

  std::unique_ptr<core::TrainableModel> model = softmax_regression();
  Examples data;
  core::Pool pool{1};
  LocalTrainer trainer;
  std::vector<float> x;
};

LocalOptions full_batch() {
  LocalOptions o;
  o.batch = 0;
  o.learning_rate = 0.5;
  return o;
}

}  // namespace

TEST_CASE("so many steps are taken as were asked for, across epochs or within one") {
  World world(20);
  const auto members = range(0, 20);
  LocalOptions o;
  o.batch = 8;
  CHECK(world.train(0, members, o).steps == 3);
  o.steps = 2;
  const LocalResult two = world.train(0, members, o);
  CHECK(two.steps == 2);
  o.steps = 7;
  CHECK(world.train(0, members, o).steps == 7);
  o.steps = 3;
  const LocalResult three = world.train(0, members, o);
  o.steps = 0;
  CHECK(three.model == world.train(0, members, o).model);
}

TEST_CASE("without epochs a client sends back what it got") {
  World world(20);
  LocalOptions o;
  o.epochs = 0;
  LocalWork work;
  work.proximal = 0.1;
  work.loss_at_start = true;
  const LocalResult r = world.train(0, range(0, 20), o, work);
  CHECK(r.model == world.x);
  CHECK(r.steps == 0);
  CHECK(r.examples == 20);
  CHECK(r.loss == 0);
  CHECK(r.loss_at_start > 0);
  LocalWork corrected;
  corrected.control_variates = true;
  CHECK_THROWS_WITH_AS(world.train(0, range(0, 20), o, corrected, {}, world.x), doctest::Contains("control variates need steps"), core::Error);
}

TEST_CASE("epochs are dealt to clients in turn") {
  World world(20);
  const auto members = range(0, 20);
  LocalOptions o;
  o.batch = 10;
  o.epochs_dealt = {1, 5};
  CHECK(world.train(0, members, o).steps == 2);
  CHECK(world.train(1, members, o).steps == 10);
  CHECK(world.train(6, members, o).steps == 2);
  o.epochs_dealt = {3};
  const std::vector<float> dealt = world.train(1, members, o).model;
  o.epochs_dealt.clear();
  o.epochs = 3;
  CHECK(world.train(1, members, o).model == dealt);
}

TEST_CASE("examples that are no images are not augmented") {
  World world(20);
  LocalOptions o;
  o.augment = "crop-flip";
  o.input = {6};
  CHECK_THROWS_AS(world.train(0, range(0, 20), o), core::Error);
}

TEST_CASE("clients with the same data make the step of one") {
  World world(60);
  const auto members = range(0, 60);
  const LocalResult alone = world.train(0, members, full_batch());
  StrategyOptions o;
  const auto fedavg = make_strategy(o, world.model->layout());
  World many(60);
  std::vector<ClientState> states(5);
  many.round(*fedavg, std::vector<std::vector<std::uint32_t>>(5, members), full_batch(), 0, states);
  // Orders of the examples differ from client to client, and with them the last bits of the gradients.
  for (std::size_t i = 0; i < many.x.size(); ++i) CHECK(std::abs(many.x[i] - alone.model[i]) <= 1e-6f);
  World single(60);
  std::vector<ClientState> one(1);
  single.round(*make_strategy(o, single.model->layout()), {members}, full_batch(), 0, one);
  CHECK(single.x == alone.model);
}

TEST_CASE("full batches of all clients are central gradient descent") {
  World federated(90), central(90);
  StrategyOptions o;
  const auto fedavg = make_strategy(o, federated.model->layout());
  const std::vector<std::vector<std::uint32_t>> parts{range(0, 10), range(10, 50), range(50, 90)};
  std::vector<ClientState> states(3);
  for (int round = 0; round < 20; ++round) {
    federated.round(*fedavg, parts, full_batch(), round, states);
    central.x = central.train(0, range(0, 90), full_batch(), {}, {}, {}, round).model;
  }
  for (std::size_t i = 0; i < federated.x.size(); ++i) CHECK(federated.x[i] == doctest::Approx(central.x[i]).epsilon(1e-5));
}

TEST_CASE("a task gives the same bits whatever ran before, and other rounds other orders") {
  World world(50);
  LocalOptions o;
  o.batch = 7;
  o.epochs = 2;
  const auto members = range(5, 45);
  const auto first = world.train(3, members, o, {}, {}, {}, 4);
  world.train(9, range(0, 20), o);
  CHECK(world.train(3, members, o, {}, {}, {}, 4).model == first.model);
  CHECK(world.train(3, members, o, {}, {}, {}, 5).model != first.model);
  CHECK(world.train(4, members, o, {}, {}, {}, 4).model != first.model);
  CHECK(first.steps == 12);
  CHECK(first.examples == 40);
  CHECK(first.normaliser == 12);
}

TEST_CASE("the proximal pull shortens the way, and FedNova's normaliser knows momentum and pull") {
  World world(30);
  LocalOptions o;
  o.batch = 5;
  o.epochs = 4;
  o.learning_rate = 0.1;
  const auto distance = [&](double mu) {
    LocalWork work;
    work.proximal = mu;
    const auto r = world.train(0, range(0, 30), o, work);
    double sum = 0;
    for (std::size_t i = 0; i < r.model.size(); ++i) sum += std::pow(static_cast<double>(r.model[i] - world.x[i]), 2);
    return std::sqrt(sum);
  };
  CHECK(distance(1) < distance(0.1));
  CHECK(distance(0.1) < distance(0));
  o.optimizer.momentum = 0.9;
  const double rho = 0.9, tau = 24;
  CHECK(world.train(0, range(0, 30), o).normaliser == doctest::Approx((tau - rho * (1 - std::pow(rho, tau)) / (1 - rho)) / (1 - rho)));
  o.optimizer.momentum = 0;
  LocalWork work;
  work.proximal = 0.5;
  CHECK(world.train(0, range(0, 30), o, work).normaliser == doctest::Approx((1 - std::pow(1 - 0.05, tau)) / 0.05));
}

TEST_CASE("a control variate is the mean gradient with momentum, too") {
  World world(30);
  LocalOptions o;
  o.batch = 0;
  o.steps = 8;
  o.learning_rate = 1e-3;
  LocalWork work;
  work.control_variates = true;
  const std::vector<float> control(world.x.size());
  const std::vector<float> plain = world.train(0, range(0, 30), o, work, {}, control).control_change;
  o.optimizer.momentum = 0.9;
  const std::vector<float> fast = world.train(0, range(0, 30), o, work, {}, control).control_change;
  for (std::size_t i = 0; i < plain.size(); ++i) CHECK(fast[i] == doctest::Approx(plain[i]).epsilon(0.02).scale(0.1));
}

TEST_CASE("SCAFFOLD's control variates sum up, and its first round is FedAvg's") {
  StrategyOptions o;
  o.clients = 3;
  LocalOptions local;
  local.batch = 10;
  local.learning_rate = 0.1;
  const std::vector<std::vector<std::uint32_t>> parts{range(0, 30), range(30, 60), range(60, 90)};
  World scaffold(90), fedavg(90);
  o.name = "scaffold";
  const auto with_control = make_strategy(o, scaffold.model->layout());
  o.name = "fedavg";
  std::vector<ClientState> states(3), none(3);
  scaffold.round(*with_control, parts, local, 0, states);
  fedavg.round(*make_strategy(o, fedavg.model->layout()), parts, local, 0, none);
  CHECK(scaffold.x == fedavg.x);
  for (int round = 1; round < 5; ++round) scaffold.round(*with_control, parts, local, round, states);
  // c is the mean of the clients' c_k.
  for (std::size_t i = 0; i < scaffold.x.size(); ++i) {
    double mean = 0;
    for (const ClientState& s : states) mean += static_cast<double>(s.vectors.at("control")[i]) / 3;
    CHECK(static_cast<double>(with_control->control()[i]) == doctest::Approx(mean).epsilon(1e-5).scale(1.0));
  }
  CHECK(scaffold.trainer.evaluate(scaffold.x, scaffold.data).accuracy > 0.6);
}

TEST_CASE("learning works, and divergence is said") {
  World world(90);
  StrategyOptions o;
  const auto fedavg = make_strategy(o, world.model->layout());
  std::vector<ClientState> states(3);
  LocalOptions local;
  local.batch = 10;
  local.learning_rate = 0.2;
  const double before = world.trainer.evaluate(world.x, world.data).loss;
  for (int round = 0; round < 15; ++round) world.round(*fedavg, {range(0, 30), range(30, 60), range(60, 90)}, local, round, states);
  const auto after = world.trainer.evaluate(world.x, world.data);
  CHECK(after.loss < before / 2);
  CHECK(after.accuracy > 0.7);
  CHECK(after.count == 90);
  local.learning_rate = 3e38;
  local.batch = 1;
  local.epochs = 10;
  CHECK_THROWS_WITH_AS(world.train(7, range(0, 30), local), doctest::Contains("client 7: the loss is"), core::Error);
}

TEST_CASE("norm layers stay home with FedBN") {
  core::ModelOptions o;
  o.name = "resnet8";
  o.input = {1, 8, 8};
  o.classes = 2;
  const auto model = core::make_model(o);
  Examples data;
  data.count = 8;
  data.values_each = 64;
  for (int i = 0; i < 8 * 64; ++i) data.values.push_back(std::cos(static_cast<float>(i)));
  for (int i = 0; i < 8; ++i) data.labels.push_back(i % 2);
  core::Pool pool(1);
  LocalTrainer trainer(*model, pool);
  core::Parameters p(model->layout());
  core::initialise(p, 1);
  LocalWork work;
  work.norms_stay_home = true;
  LocalOptions local;
  local.batch = 4;
  const auto members = range(0, 8);
  const LocalResult r = trainer.train({0, 0, p.values, {}, {&data, members}}, local, work, {});
  for (const core::ParameterEntry& e : model->layout()->entries()) {
    const bool moved = !std::equal(r.model.begin() + e.offset, r.model.begin() + e.offset + e.size, p.values.begin() + e.offset);
    CAPTURE(e.name);
    CHECK(moved == (e.part == core::Part::weight));
  }
  CHECK(!r.state.vectors.at("norms").empty());
  const LocalResult next = trainer.train({0, 1, p.values, {}, {&data, members}}, local, work, r.state);
  CHECK(next.state.vectors.at("norms") != r.state.vectors.at("norms"));
  CHECK(next.model != trainer.train({0, 1, p.values, {}, {&data, members}}, local, work, {}).model);
}
