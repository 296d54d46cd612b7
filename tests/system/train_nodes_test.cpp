// `starling train` on nodes as a user runs it: the bits of the simulator on every transport and number of processes, a
// killed run that goes on, real time, and what goes wrong on the way.
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/system/metrics.h"
#include "tests/tools/program.h"
#include "tools/process.h"

using namespace starling;
using tests::contains;
using tests::contents;
using tests::without_wall;

namespace {

/// LeNet-5 with stragglers, drops and a quorum, on pictures that every process makes for itself.
struct World {
  std::string command(const std::string& more = "") const {
    return "train '" STARLING_SOURCE_DIR "/examples/fashion-fedavg/experiment.toml' --set rounds=3 --set data.name=synthetic --set data.image_side=28 "
           "--set data.partition=iid --set data.examples_each=40 --set devices.profile=lognormal --set devices.failure=0.1 --set rounds_policy.quorum=0.8 "
           "--set rounds_policy.over_select=1.2 " +
           more;
  }
  tests::Ran run(const std::string& arguments, const std::string& before = "") const { return tests::run_starling(arguments, before); }

  tests::TemporaryFolder folder;
};

}  // namespace

TEST_CASE("simulator, threads, processes and MPI ranks give the same bits") {
  const World world;
  const auto out = [&](const std::string& name) { return " --out '" + (world.folder / name) + "'"; };
  const auto simulated = world.run(world.command("--set strategy.name=scaffold --simulate") + out("sim"));
  REQUIRE_MESSAGE(simulated.status == 0, simulated.err);
  const std::string model = contents(world.folder / "sim/model.safetensors"), metrics = without_wall(contents(world.folder / "sim/metrics.jsonl"));
  CHECK(contains(metrics, "\"dropped\":"));
  int count = 0;
  for (const std::string nodes : {"--nodes local:1 --threads 2", "--nodes local:4 --threads 1", "--nodes local:2 --transport zmq", "--nodes local:2 --transport inproc",
#ifdef STARLING_MPI
                                  "--nodes local:2 --transport mpi",
#endif
       }) {
    CAPTURE(nodes);
    const std::string name = "run" + std::to_string(++count);
    // Open MPI keeps some memory to the end, which a build with the address sanitizer would take for a fault of ours.
    const auto ran = world.run(world.command("--set strategy.name=scaffold " + nodes) + out(name), nodes.ends_with("mpi") ? "ASAN_OPTIONS=detect_leaks=0" : "");
    REQUIRE_MESSAGE(ran.status == 0, ran.err);
    CHECK(contents(world.folder / (name + "/model.safetensors")) == model);
    CHECK(without_wall(contents(world.folder / (name + "/metrics.jsonl"))) == metrics);
    CHECK(nlohmann::json::parse(contents(world.folder / (name + "/summary.json"))).at("nodes").size() >= 1);
  }
}

TEST_CASE("a run killed at any of its crash points ends as if it had not been, here and on nodes") {
  const World world;
  for (const std::string where : {"--simulate", "--nodes local:2"}) {
    CAPTURE(where);
    const std::string base = where == "--simulate" ? "s" : "n";
    const std::string whole = world.folder / (base + "-whole");
    REQUIRE(world.run(world.command("--set strategy.name=scaffold " + where) + " --out '" + whole + "'").status == 0);
    for (const std::string crash : {"aggregation:2", "journal:2", "write:8", "fsync:9", "rename:7"}) {
      CAPTURE(crash);
      const std::string folder = world.folder / (base + crash.substr(0, crash.find(':')));
      const auto killed = world.run(world.command("--set strategy.name=scaffold " + where) + " --out '" + folder + "'", "STARLING_CRASH=" + crash);
      REQUIRE_MESSAGE(killed.status != 0, killed.out);
      const auto resumed = world.run("train --resume '" + folder + "' " + where);
      REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
      CHECK(contents(folder + "/model.safetensors") == contents(whole + "/model.safetensors"));
      CHECK(without_wall(contents(folder + "/metrics.jsonl")) == without_wall(contents(whole + "/metrics.jsonl")));
    }
    const auto again = world.run("train --resume '" + whole + "' " + where);
    CHECK(again.status == 2);
    CHECK(contains(again.err, "the run is complete"));
  }
}

TEST_CASE("in real time rounds end when the nodes are done") {
  const World world;
  const auto ran = world.run(world.command("--set clock=wall --nodes local:2 --json"));
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  CHECK(contains(ran.out, "\"completed\":true"));
  const auto deadline = world.run(world.command("--set clock=wall --set rounds_policy.deadline_s=0.02 --set rounds_policy.max_failed_rounds=100 --nodes local:2"));
  CHECK((deadline.status == 0 || contains(deadline.err, "rounds in a row failed")));
}

TEST_CASE("nodes train on texts that only they hold, and the same processes then serve the model") {
  const tests::TemporaryFolder folder;
  REQUIRE(tests::run_starling("bench make-texts '" + (folder / "texts") + "' --apart --bytes 6000").status == 0);
  REQUIRE(tests::run_starling("bench make-texts '" + (folder / "test") + "' --bytes 3000 --seed 2").status == 0);
  std::vector<tools::LocalNodes> nodes;
  std::string uris;
  for (const std::string dialect : {"coast", "hills", "marsh", "woods"}) {
    tools::LocalNodesOptions options;
    options.count = 1;
    options.program = tests::program_path();
    options.arguments = {"--data", folder / ("texts/" + dialect)};
    nodes.push_back(tools::start_local_nodes(options));
    uris += (uris.empty() ? "" : ",") + nodes.back().uris.front();
  }
  const std::string settings = "train '" STARLING_SOURCE_DIR "/examples/quickstart-federated/nodes.toml' --set rounds=2 --set data.length=32 --set model.width=32 "
                               "--set model.layers=1 --set evaluate.every=1 --set data.path='" + (folder / "test") + "' ";
  const auto trained = tests::run_starling(settings + "--nodes " + uris + " --out '" + (folder / "run") + "'");
  REQUIRE_MESSAGE(trained.status == 0, trained.err);
  CHECK(contains(trained.out, "4 clients, llama"));
  // In the files of this process' own folder there is no text of the nodes: the same model comes from all of them together.
  std::filesystem::create_directories(folder / "all");
  for (const std::string dialect : {"coast", "hills", "marsh", "woods"})
    std::filesystem::copy(folder / ("texts/" + dialect + "/" + dialect + ".txt"), folder / ("all/" + dialect + ".txt"));
  const auto together = tests::run_starling(settings + "--simulate --set data.own=false --set data.partition=natural --set data.path='" + (folder / "all") + "' --out '" + (folder / "sim") + "'");
  REQUIRE_MESSAGE(together.status == 0, together.err);
  CHECK(contents(folder / "sim/model.safetensors") == contents(folder / "run/model.safetensors"));
  const auto served = tests::run_starling("generate '" + (folder / "run/model.gguf") + "' --prompt 'The ' --tokens 16 --compare --nodes " + uris);
  CHECK_MESSAGE(served.status == 0, served.err);
  CHECK(contains(served.err, "the same bits"));
  const auto empty = tests::run_starling(settings + "--nodes local:2");
  CHECK(empty.status == 2);
  CHECK(contains(empty.err, "start it with --data DIR"));
}

TEST_CASE("a node with a folder of its own reads nothing outside of it, not even through a link in it") {
  const tests::TemporaryFolder folder;
  REQUIRE(tests::run_starling("bench make-texts '" + (folder / "texts") + "' --apart --bytes 6000").status == 0);
  std::filesystem::create_directories(folder / "own");
  std::filesystem::create_symlink(folder / "texts/coast/coast.txt", folder / "own/coast.txt");
  tools::LocalNodesOptions options;
  options.count = 1;
  options.program = tests::program_path();
  options.arguments = {"--data", folder / "own"};
  const auto node = tools::start_local_nodes(options);
  const auto trained = tests::run_starling("train '" STARLING_SOURCE_DIR "/examples/quickstart-federated/nodes.toml' --set rounds=1 --set data.length=32 --set model.width=32 "
                                           "--set model.layers=1 --set data.path='" + (folder / "texts/coast") + "' --nodes " + node.uris.front());
  if (trained.status == 0) {
    MESSAGE("skipped: this kernel has no Landlock");
    return;
  }
  CHECK(contains(trained.err, "coast.txt"));
}

TEST_CASE("in real time a node that was killed is taken up again when it is back") {
  const World world;
  tools::LocalNodesOptions options;
  options.count = 2;
  options.program = tests::program_path();
  auto nodes = std::make_unique<tools::LocalNodes>(tools::start_local_nodes(options));
  tools::LocalNodesOptions one = options;
  one.count = 1;
  auto other = std::make_unique<tools::LocalNodes>(tools::start_local_nodes(one));
  const std::string uri = other->uris.front();
  tests::Ran ran;
  std::thread training([&] {
    ran = world.run(world.command("--set clock=wall --set rounds=40 --set rounds_policy.max_failed_rounds=100 --json --nodes " + nodes->uris[0] + "," + nodes->uris[1] + "," + uri));
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  other.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  tools::Children again;
  again.spawn({tests::program_path(), "node", "--listen", uri, "--name", "again"}, "again");
  training.join();
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  CHECK(contains(ran.out, "\"completed\":true"));
}

TEST_CASE("what cannot be trained on nodes is refused by name") {
  const World world;
  const auto refused = [&](const std::string& arguments, int status = 2) {
    const auto ran = world.run(arguments);
    CHECK(ran.status == status);
    return ran.err;
  };
  CHECK(contains(refused("train"), "give an experiment file, or --resume DIR"));
  CHECK(contains(refused("train --resume '" + (world.folder / "nothing") + "'"), "holds no run"));
  CHECK(contains(refused(world.command("--nodes tcp://127.0.0.1:1"), 1), "127.0.0.1:1"));
  CHECK(contains(refused(world.command("--nodes local:0")), "expected local:N"));
  CHECK(contains(refused(world.command("--simulate --set data.own=true")), "needs nodes that hold the data"));
  CHECK(contains(refused(world.command("--simulate --set attack.kind=label-flip --set attack.clients=1")), "one set is dealt to all clients"));
  CHECK(contains(refused(world.command("--nodes local:1 --set clock=wall --set attack.kind=alie --set attack.clients=2")), "needs clock = 'virtual'"));
  const auto lost = tests::run_starling(world.command("--nodes local:2 --set data.name=fashion-mnist"), "STARLING_DATA=/nowhere");
  CHECK(lost.status == 2);
  CHECK(contains(lost.err, "github.com/zalandoresearch/fashion-mnist"));
}
