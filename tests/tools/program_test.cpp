// The program at its edges: help, exit statuses, and what it says about mistyped words.
#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/tools/program.h"
#include "tools/command.h"

using namespace starling;
using tests::contains;
using tests::Ran;
using tests::run_starling;

namespace {

std::string dashed(std::string name) {
  for (char& c : name)
    if (c == '_') c = '-';
  return name;
}

std::size_t lines(const std::string& text) { return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')); }

}  // namespace

TEST_CASE("help lists every command but the hidden ones, and every command has help and --json") {
  const Ran help = run_starling("--help");
  CHECK(help.status == 0);
  CHECK(help.err.empty());
  for (const tools::Command& command : tools::commands()) {
    const std::string name = dashed(command.name);
    CAPTURE(name);
    CHECK(contains(help.out, "  " + name + " ") == !command.hidden);
    const Ran own = run_starling(name + " --help");
    CHECK(own.status == 0);
    CHECK(contains(own.out, "--json"));
  }
  for (const tools::Command& command : tools::benchmarks()) {
    const Ran own = run_starling("bench " + dashed(command.name) + " --help");
    CHECK(own.status == 0);
    CHECK(contains(own.out, "--json"));
  }
}

TEST_CASE("hidden options do not show") {
  const Ran relay = run_starling("relay --help");
  CHECK(relay.status == 0);
  CHECK_FALSE(contains(relay.out, "--lifeline"));
}

TEST_CASE("wrong usage is one line on standard error, nothing on standard output, and status 2") {
  const std::pair<std::string, std::string> cases[] = {
      {"", "starling: which command?"},
      {"inspekt", "starling: unknown command 'inspekt'; did you mean 'inspect'?"},
      {"fly", "starling: unknown command 'fly' (see starling --help)"},
      {"--jason", "starling: unknown option '--jason'"},
      {"doctor --jsno", "starling: doctor: unknown option '--jsno'; did you mean '--json'? (see starling doctor --help)"},
      {"doctor extra", "starling: doctor: unexpected argument 'extra'"},
      {"tokenize", "starling: tokenize: MODEL is required"},
      {"tokenize x --promt y", "starling: tokenize: unknown option '--promt'; did you mean '--prompt'?"},
      {"tokenize x", "starling: give one of --prompt, --prompt-file and --decode"},
      {"tokenize /no/such.gguf --prompt a", "/no/such.gguf"},
      {"inspect /no/such.gguf", "/no/such.gguf"},
      {"convert /no/such.gguf out.gguf --type f33", "unknown element type 'f33'"},
      {"bench", "starling: bench: which command?"},
      {"bench make-modle", "starling: bench: unknown command 'make-modle'; did you mean 'make-model'?"},
      {"bench make-model syn-2M x.gguf", "make-model syn-2M: unknown shape; did you mean 'syn-1M'?"},
      {"bench make-model syn-1M x.bin", "x.bin: the name must end in .gguf"},
      {"bench make-model syn-1M x.gguf --seed -1", "--seed"},
      {"completion tcsh", "unknown shell (known: bash zsh fish)"},
      {"up /no/such.toml", "/no/such.toml"},
  };
  for (const auto& [arguments, said] : cases) {
    CAPTURE(arguments);
    const Ran ran = run_starling(arguments);
    CHECK(ran.status == 2);
    CHECK(ran.out.empty());
    CHECK(lines(ran.err) == 1);
    CHECK(ran.err.rfind("starling: ", 0) == 0);
    CHECK_MESSAGE(contains(ran.err, said), ran.err);
  }
}

TEST_CASE("an empty value and values like options can be given") {
  CHECK(contains(run_starling("tokenize /no/such.gguf --prompt ''").err, "/no/such.gguf"));
  CHECK(contains(run_starling("tokenize /no/such.gguf --prompt=--help").err, "/no/such.gguf"));
  CHECK(contains(run_starling("tokenize /no/such.gguf --prompt '[1,2]'").err, "/no/such.gguf"));
}

TEST_CASE("the version is printed") {
  const Ran ran = run_starling("--version");
  CHECK(ran.status == 0);
  CHECK(ran.out.rfind("starling 0.", 0) == 0);
}

TEST_CASE("a full disk under standard output is an error with status 1") {
  const Ran ran = run_starling("--version >/dev/full");
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "standard output: No space left on device"));
}

TEST_CASE("doctor describes the machine") {
  const Ran ran = run_starling("doctor --json");
  REQUIRE(ran.status == 0);
  const auto json = nlohmann::json::parse(ran.out);
  CHECK(json.at("cores").get<int>() >= 1);
  CHECK(json.at("memory_bytes").get<std::uint64_t>() > 1u << 20);
  CHECK(json.at("disk").at("write_bytes_per_s").get<double>() > 0);
  CHECK(json.at("loopback").at("round_trip_us").get<double>() > 0);
  CHECK_FALSE(json.at("simd").get<std::string>().empty());
  CHECK(contains(run_starling("doctor").out, "missing"));
}

TEST_CASE("doctor says what is missing") {
  const Ran ran = run_starling("doctor --json", "PATH=/nonexistent");
  REQUIRE(ran.status == 0);
  const auto missing = nlohmann::json::parse(ran.out).at("missing").dump();
  CHECK(contains(missing, "mpirun"));
  CHECK(contains(missing, "ssh"));
}

TEST_CASE("doctor measures no disk where it may not write") {
  const Ran ran = run_starling("doctor --dir /proc");
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "/proc: cannot write here"));
}
