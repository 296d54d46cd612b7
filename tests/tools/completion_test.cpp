// Completion, asked as the shells ask.
#include <fstream>

#include <doctest/doctest.h>

#include "tests/tools/program.h"
#include "tools/command.h"
#include "tools/measure.h"

using namespace starling;
using tests::contains;

namespace {

/// What bash would offer after these words, the last one unfinished.
std::string offered(const std::string& words) {
  const std::string script = "eval \"$('" + tests::program_path() + "' completion bash)\"; COMP_WORDS=(" + words +
                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _starling; printf '%s ' \"${COMPREPLY[@]}\"";
  const auto ran = tools::run_command({"bash", "-c", script}, std::chrono::steady_clock::now() + std::chrono::seconds(20));
  CHECK(ran.status == 0);
  return " " + ran.output;
}

}  // namespace

TEST_CASE("bash is offered all visible commands and nothing hidden") {
  const std::string all = offered("starling ''");
  for (const tools::Command& command : tools::commands()) {
    std::string name = command.name;
    CHECK_MESSAGE(contains(all, " " + name + " ") == !command.hidden, name);
  }
  CHECK(contains(all, " bench "));
  CHECK(offered("starling con") == " convert ");
}

TEST_CASE("bash is offered the options of the command that the words name") {
  CHECK(offered("starling tokenize model.gguf --dec") == " --decode ");
  CHECK(offered("starling convert --ty") == " --type ");
  CHECK(contains(offered("starling bench ''"), " make-model "));
  CHECK(offered("starling bench make-model syn-1M --se") == " --seed ");
  CHECK_FALSE(contains(offered("starling doctor --"), "--type"));
}

TEST_CASE("where a file may stand bash offers no command") { CHECK(offered("starling inspect con") == "  "); }

TEST_CASE("zsh and fish accept their scripts") {
  for (const std::string shell : {"zsh", "fish"}) {
    const tests::Ran script = tests::run_starling("completion " + shell);
    CHECK(script.status == 0);
    CHECK(contains(script.out, "make-model"));
    CHECK_FALSE(contains(script.out, "lifeline"));
    if (tools::find_program(shell).empty()) {
      MESSAGE("not parsed: no ", shell, " here");
      continue;
    }
    const tests::TemporaryFolder folder;
    std::ofstream(folder / "script") << script.out;
    const auto parsed = tools::run_command({shell, "-n", folder / "script"}, std::chrono::steady_clock::now() + std::chrono::seconds(20));
    CHECK_MESSAGE(parsed.status == 0, parsed.output);
  }
}
