// up and down over a stand-in ssh: the nodes run, are not started twice, and are gone afterwards.
#include <csignal>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/tools/program.h"

using namespace starling;
using tests::contains;
using tests::Ran;

namespace {

/// Homes, PATH with the stand-in, and hosts files of one test.
struct Hosts {
  Hosts() {
    std::filesystem::create_directories(folder / "bin");
    const std::string tests = std::string(STARLING_SOURCE_DIR) + "/tests/tools/";
    std::filesystem::create_symlink(tests + "stand_in_ssh", folder / "bin/ssh");
    std::ofstream(folder / "hosts.toml") << "[[node]]\nname = \"shelf\"\nuri = \"tcp://127.0.0.1:7171\"\nssh = \"ada@shelf\"\nprogram = \""
                                         << tests << "stand_in_node\"\nthreads = 2\nmemory = \"1G\"\n"
                                         << "[[node]]\nuri = \"tcp://127.0.0.1:7172\"\nprogram = \"" << tests << "stand_in_node\"\n";
  }
  ~Hosts() { run("down"); }

  Ran run(const std::string& command, const std::string& file = "hosts.toml") const {
    return tests::run_starling(command + " " + (folder / file),
                           "PATH='" + (folder / "bin") + "':$PATH HOME='" + folder.path() + "' XDG_STATE_HOME= STAND_IN_SSH_LOG='" +
                               (folder / "log") + "'");
  }
  std::string contents(const std::string& name) const {
    std::ifstream in(folder / name);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  tests::TemporaryFolder folder;
};

}  // namespace

TEST_CASE("up starts the nodes, once, with what the file says, and down ends them") {
  const Hosts hosts;
  const Ran up = hosts.run("up --json");
  REQUIRE_MESSAGE(up.status == 0, up.out, up.err);
  const auto nodes = nlohmann::json::parse(up.out).at("nodes");
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[0].at("name") == "shelf");
  CHECK(nodes[0].at("where") == "ada@shelf");
  CHECK(contains(nodes[0].at("detail"), "started (pid "));
  CHECK(nodes[1].at("name") == "node-2");
  CHECK(nodes[1].at("where") == "this machine");
  CHECK(hosts.contents("log") == "ada@shelf\n");
  const std::string state = ".local/state/starling/";
  CHECK(hosts.contents(state + "shelf.uri") ==
        "node --listen tcp://127.0.0.1:7171 --name shelf --threads 2 --memory 1073741824\n");
  const pid_t pid = std::stoi(hosts.contents(state + "shelf.pid"));
  CHECK(::kill(pid, 0) == 0);
  CHECK(::getsid(pid) != ::getsid(0));

  const Ran again = hosts.run("up");
  CHECK(again.status == 0);
  CHECK(contains(again.out, "already running (pid " + std::to_string(pid) + ")"));

  const Ran down = hosts.run("down");
  CHECK(down.status == 0);
  CHECK(contains(down.out, "stopped (pid " + std::to_string(pid) + ")"));
  CHECK_FALSE(std::filesystem::exists(hosts.folder / (state + "shelf.pid")));
  CHECK(contains(hosts.run("down").out, "not running"));
}

TEST_CASE("down sees the end of a node that its new parent never collects") {
  // As the first process of a container without an init: orphans become ours, and we do not wait for them.
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  {
    const Hosts hosts;
    REQUIRE(hosts.run("up").status == 0);
    const pid_t pid = std::stoi(hosts.contents(".local/state/starling/shelf.pid"));
    const Ran down = hosts.run("down");
    CHECK_MESSAGE(down.status == 0, down.out, down.err);
    CHECK(::kill(pid, 0) == 0);  // it is there, but ended
    CHECK(::waitpid(pid, nullptr, WNOHANG) == pid);
  }
  while (::waitpid(-1, nullptr, WNOHANG) > 0) continue;
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_CASE("a host that is not reached and a program that fails are named, and the status is 1") {
  const Hosts hosts;
  std::ofstream(hosts.folder / "bad.toml") << "[[node]]\nname = \"away\"\nuri = \"tcp://127.0.0.1:7173\"\nssh = \"nobody@nowhere\"\n"
                                              "[[node]]\nname = \"broken\"\nuri = \"tcp://127.0.0.1:7174\"\nprogram = \"/no/such/program\"\n";
  const Ran up = hosts.run("up", "bad.toml");
  CHECK(up.status == 1);
  CHECK(contains(up.err, "starling: away (tcp://127.0.0.1:7173, nobody@nowhere): ssh: Could not resolve hostname nowhere"));
  CHECK(contains(up.err, "starling: broken (tcp://127.0.0.1:7174, this machine): "));
  CHECK(contains(up.err, "/no/such/program"));
}
