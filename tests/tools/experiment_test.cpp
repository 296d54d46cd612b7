// Experiment files: every setting arrives, comes back, and what is wrong is said by name.
#include "tools/experiment.h"

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using tools::parse_experiment;

namespace {

constexpr const char* kExample = R"(
name = "fashion-fedavg"
seed = 7
rounds = 50
clock = "virtual"
[data]
name = "fashion-mnist"
clients = 100
partition = "dirichlet"
alpha = 0.5
[model]
name = "lenet5"
[client]
epochs = 2
batch = 32
optimizer = "sgd"
learning_rate = 0.05
momentum = 0.9
[strategy]
name = "fedadam"
fraction = 0.1
[rounds_policy]
deadline_s = 120
over_select = 1.3
[devices]
profile = "phones"
availability = "markov"
on_s = 300
dropout = true
background = "planetlab"
[links]
profile = "lognormal"
down_mbit = 40
[attack]
kind = "sign-flip"
clients = 4
scale = 10
[evaluate]
every = 5
)";

std::string said(const std::string& text, core::Kind kind, const std::vector<std::string>& overrides = {}) {
  try {
    parse_experiment(text, "e.toml", overrides);
  } catch (const core::Error& error) {
    CHECK_MESSAGE(error.kind() == kind, error.what());
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The example with one line more in a section that it already has, or a new one.
std::string with(const std::string& line) { return std::string(kExample) + line; }

}  // namespace

TEST_CASE("the user's own folder and the stride of a text arrive, and come back") {
  const std::string kNames = "[model]\nname = \"logistic\"\n[strategy]\nname = \"fedavg\"\n";
  const tools::Experiment e = parse_experiment("[data]\nname = \"folder\"\npath = \"my data/x\"\nstride = 3\n" + kNames, "e.toml");
  CHECK(e.data.path == "my data/x");
  CHECK(e.data.stride == 3);
  const std::string written = tools::resolved(e);
  CHECK(parse_experiment(written, "again.toml").data.path == e.data.path);
  CHECK(said("[data]\npath = 1\n", core::Kind::malformed).find("[data] path: expected a text") != std::string::npos);
}

TEST_CASE("an experiment file is read whole and written so that it reads the same") {
  const tools::Experiment e = parse_experiment(kExample, "e.toml");
  CHECK(e.name == "fashion-fedavg");
  CHECK(e.policy.seed == 7);
  CHECK(e.policy.rounds == 50);
  CHECK(e.partition.clients == 100);
  CHECK(e.devices.clients == 100);
  CHECK(e.partition.alpha == 0.5);
  CHECK(e.model.name == "lenet5");
  CHECK(e.client.epochs == 2);
  CHECK(e.client.optimizer.momentum == 0.9);
  CHECK(e.strategy.name == "fedadam");
  CHECK(e.policy.fraction == 0.1);
  CHECK(e.policy.deadline == 120);
  CHECK(e.policy.over_select == 1.3);
  CHECK(e.devices.profile == "phones");
  CHECK(e.devices.availability == "markov");
  CHECK(e.devices.on_s == 300);
  CHECK(e.devices.dropout);
  CHECK(e.devices.background == "planetlab");
  CHECK(e.devices.links.profile == "lognormal");
  CHECK(e.devices.links.down_mbit == 40);
  CHECK(e.attack.kind == "sign-flip");
  CHECK(e.attack.clients == 4);
  CHECK(e.attack.scale == 10);
  CHECK(e.attack.seed == 7);
  CHECK(e.evaluate_every == 5);
  const std::string text = tools::resolved(e);
  CHECK(tools::resolved(parse_experiment(text, "again")) == text);
  CHECK(contains(text, "learning_rate = 0.05"));
  CHECK(contains(text, "[rounds_policy]"));
}

TEST_CASE("--set overrides any key") {
  const tools::Experiment e = parse_experiment(
      kExample, "e.toml", {"rounds=3", "client.learning_rate=0.2", "strategy.name=fedbuff", "rounds_policy.mode=\"async\"", "rounds_policy.buffer=4"});
  CHECK(e.policy.rounds == 3);
  CHECK(e.client.learning_rate == 0.2);
  CHECK(e.strategy.name == "fedbuff");
  CHECK(e.policy.asynchronous);
  CHECK(e.strategy.buffer == 4);
  const tools::Experiment text = parse_experiment(
      kExample, "e.toml", {"data.name=text", "data.path=a/b c", "data.length=64", "model.name=llama", "model.heads=8", "model.kv_heads=2"});
  CHECK(text.data.path == "a/b c");
  CHECK(text.data.length == 64);
  CHECK(text.model.heads == 8);
  CHECK(tools::resolved(parse_experiment(tools::resolved(text), "again")) == tools::resolved(text));
  const tools::Experiment list = parse_experiment(kExample, "e.toml", {"client.epochs_dealt=[1, 5]"});
  CHECK(list.client.epochs_dealt == std::vector<std::int64_t>{1, 5});
  CHECK(parse_experiment(tools::resolved(list), "again").client.epochs_dealt == list.client.epochs_dealt);
  CHECK(contains(said(kExample, core::Kind::malformed, {"client.epochs_dealt=[1, 0.5]"}), "[client] epochs_dealt: expected a list of whole numbers"));
  CHECK(contains(said(kExample, core::Kind::malformed, {"client.epochs_dealt=[0]"}), "[client] epochs_dealt = 0, expected 1 to"));
  CHECK(contains(said(kExample, core::Kind::usage, {"rounds"}), "--set rounds: expected key=value"));
  CHECK(contains(said(kExample, core::Kind::usage, {"client.learnign_rate=1"}), "did you mean 'learning_rate'?"));
}

TEST_CASE("what is wrong is said with file, section and key") {
  CHECK(contains(said("rounds = ", core::Kind::malformed), "e.toml: line 1"));
  CHECK(contains(said(with("[cleint]\nepochs = 1"), core::Kind::usage), "unknown section [cleint]; did you mean 'client'?"));
  CHECK(contains(said("ruonds = 3", core::Kind::usage), "unknown key 'ruonds'; did you mean 'rounds'?"));
  CHECK(contains(said("rounds = \"three\"", core::Kind::malformed), "e.toml: rounds: expected a whole number"));
  CHECK(contains(said("rounds = 0", core::Kind::malformed), "e.toml: rounds = 0, expected 1 to"));
  CHECK(contains(said("clock = \"vrtual\"", core::Kind::usage), "clock = 'vrtual'; did you mean 'virtual'?"));
  CHECK(contains(said("[strategy]\nfraction = 1.5", core::Kind::malformed), "[strategy] fraction = 1.5, expected 0 to 1"));
  CHECK(contains(said("[client]\nlearning_rate = nan", core::Kind::malformed), "[client] learning_rate = nan"));
  CHECK(contains(said("data = 3", core::Kind::malformed), "[data] is no section"));
  CHECK(contains(said(kExample, core::Kind::usage, {"model.name=lenet"}), "[model] name 'lenet' is unknown; did you mean 'lenet5'?"));
  CHECK(contains(said(kExample, core::Kind::usage, {"data.name=minst"}), "did you mean 'mnist'?"));
  CHECK(contains(said(kExample, core::Kind::usage, {"links.profile=let"}), "[links] profile 'let' is unknown; did you mean 'lte'?"));
  CHECK(contains(said(kExample, core::Kind::usage, {"devices.availability=diurna"}), "did you mean 'diurnal'?"));
  CHECK(contains(said(kExample, core::Kind::usage, {"devices.background=planetlob"}), "did you mean 'planetlab'?"));
  CHECK(contains(said(kExample, core::Kind::usage, {"attack.kind=label-flop"}), "[attack] kind 'label-flop' is unknown; did you mean 'label-flip'?"));
  CHECK(contains(said(kExample, core::Kind::usage, {"strategy.name=fedavgn"}), "known: fedavg fedprox"));
}

TEST_CASE("every experiment among the examples is one") {
  int found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(STARLING_SOURCE_DIR "/examples")) {
    if (entry.path().filename() != "experiment.toml") continue;
    CAPTURE(entry.path().string());
    CHECK_NOTHROW(tools::load_experiment(entry.path()));
    ++found;
  }
  CHECK(found >= 7);
}
