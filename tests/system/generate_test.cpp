// The program as a user runs it: the kept continuation, byte for byte, on every kind of cluster.
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/data.h"

using starling::tests::data_file;

namespace {

struct Result {
  int status = -1;
  std::string output;
};

/// Runs the built program through the shell; standard error is appended to the output when `merge`.
Result run_program(const std::string& arguments, bool merge = false) {
  const std::string command = std::string(STARLING_BINARY_DIR) + "/starling " + arguments + (merge ? " 2>&1" : " 2>/dev/null");
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  Result result;
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) result.output.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return result;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("the kept model writes the kept story, in one process, converted, and on clusters") {
  const auto model = data_file("stories260k/stories260K.bin");
  const auto expected_file = data_file("stories260k/expected_greedy_n200.txt");
  if (!model || !expected_file) return;
  const std::string expected = contents(*expected_file);
  const std::string ask = " --prompt '' --tokens 200 --temperature 0 --json ";
  const auto text_of = [](const Result& result) {
    REQUIRE(result.status == 0);
    return nlohmann::json::parse(result.output).at("text").get<std::string>();
  };
  const Result alone = run_program("generate " + model->string() + ask);
  CHECK(text_of(alone) == expected);
  const std::string hash = nlohmann::json::parse(alone.output).at("logits_hash");

  const auto gguf = std::filesystem::temp_directory_path() / "starling_generate_test.gguf";
  REQUIRE(run_program("convert " + model->string() + " " + gguf.string() + " --type f32").status == 0);
  CHECK(text_of(run_program("generate " + gguf.string() + ask)) == expected);
  std::filesystem::remove(gguf);

  for (const char* cluster : {"--nodes local:4", "--nodes local:3 --transport zmq --shares 3:0:1", "--nodes local:8 --transport inproc",
                              "--nodes local:2 --allreduce exchange --prefill-chunk 1"}) {
    CAPTURE(cluster);
    const Result result = run_program("generate " + model->string() + ask + cluster);
    CHECK(text_of(result) == expected);
    CHECK(nlohmann::json::parse(result.output).at("logits_hash") == hash);
  }
}

TEST_CASE("plain output is the continuation and nothing else") {
  const auto model = data_file("stories260k/stories260K.bin");
  const auto expected = data_file("stories260k/expected_greedy_n200.txt");
  if (!model || !expected) return;
  CHECK(run_program("generate " + model->string() + " --prompt '' --tokens 200").output == contents(*expected) + "\n");
}

TEST_CASE("--chat asks the question in the form of the template") {
  const auto model = data_file("stories260k/stories260K.bin");
  if (!model) return;
  const std::string base = "generate " + model->string() + " --tokens 12 ";
  const std::string asked = run_program(base + "--chat --template llama-2 --system 'Be brief.' --prompt ' Hi '").output;
  CHECK(asked.size() > 5);
  CHECK(asked == run_program(base + "--prompt '[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST]'").output);
}

TEST_CASE("--compare says that the bits are the same and shows who held what") {
  const auto model = data_file("stories260k/stories260K.bin");
  if (!model) return;
  const Result result = run_program("generate " + model->string() + " --prompt 'Once' --tokens 20 --nodes local:3 --compare", true);
  CHECK(result.status == 0);
  CHECK(result.output.find("the same bits") != std::string::npos);
  CHECK(result.output.find("node-2") != std::string::npos);
}

TEST_CASE("bad usage ends with status 2 and a sentence that names what is wrong") {
  const auto model = data_file("stories260k/stories260K.bin");
  if (!model) return;
  const std::string base = "generate " + model->string() + " ";
  const auto expect = [&](const std::string& arguments, const std::string& words, int status = 2) {
    CAPTURE(arguments);
    const Result result = run_program(arguments, true);
    CHECK(result.status == status);
    CHECK_MESSAGE(result.output.find(words) != std::string::npos, result.output);
  };
  expect(base, "--prompt");
  expect(base + "--prompt a --prompt-ids 1", "one of");
  expect(base + "--prompt-ids 1,x", "--prompt-ids");
  expect(base + "--prompt a --system b", "belong to --chat");
  expect(base + "--prompt-ids 1 --chat", "--chat needs a text");
  expect(base + "--prompt a --chat --template vicuna", "known are llama-2");
  expect(base + "--prompt a --chat", "--template NAME chooses one of llama-2");
  expect(base + "--prompt-ids 99999", "99999");
  expect(base + "--prompt a --shares 1:1", "--shares");
  expect(base + "--prompt a --nodes local:2 --shares 1:x", "--shares");
  expect(base + "--prompt a --nodes local:2 --allreduce sta", "star");
  expect(base + "--prompt a --top-p 2", "top");
  expect(base + "--prompt a --kv-type q4_0", "kv-type");
  expect(base + "--prompt-file /nonexistent", "/nonexistent");
  expect("generate /nonexistent.gguf --prompt a", "/nonexistent.gguf");
  expect(base + "--prompt a --nodes tcp://127.0.0.1:1", "127.0.0.1:1", 1);
}
