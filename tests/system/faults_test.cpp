// Nodes that die, hang or meet garbage: the job ends soon with an error that names the node, and the nodes that
// live take the next job.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/data.h"
#include "tools/process.h"
#include "tools/sockets.h"

using namespace starling;
using Clock = std::chrono::steady_clock;

namespace {

std::string program() { return std::string(STARLING_BINARY_DIR) + "/starling"; }

tools::LocalNodes start_nodes(int count, const std::string& scheme = "tcp") {
  tools::LocalNodesOptions options;
  options.count = count;
  options.scheme = scheme;
  options.program = program();
  return tools::start_local_nodes(options);
}

/// A `starling generate` that runs until it is waited for; output and errors together.
class Command {
 public:
  explicit Command(const std::vector<std::string>& arguments) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], 1);
      ::dup2(ends[1], 2);
      std::vector<char*> raw;
      for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
      raw.push_back(nullptr);
      ::execv(raw[0], raw.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    read_ = ends[0];
  }
  ~Command() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(read_);
  }
  pid_t pid() const { return pid_; }
  /// Reads until something of the output has come: the job runs.
  void wait_for_output() {
    std::array<char, 1> first;
    REQUIRE(::read(read_, first.data(), 1) == 1);
    output += first[0];
  }
  int wait() {
    std::array<char, 4096> buffer;
    for (ssize_t n; (n = ::read(read_, buffer.data(), buffer.size())) > 0;) output.append(buffer.data(), static_cast<std::size_t>(n));
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string output;

 private:
  pid_t pid_ = -1;
  int read_ = -1;
};

std::string joined(const std::vector<std::string>& uris) {
  std::string text;
  for (const std::string& uri : uris) text += (text.empty() ? "" : ",") + uri;
  return text;
}

std::vector<std::string> generate(const std::string& model, const std::string& nodes, int tokens) {
  return {program(), "generate", model, "--prompt", "Once", "--tokens", std::to_string(tokens), "--ctx", "100000",
          "--nodes", nodes, "--allreduce", "exchange"};
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

long resident_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmRSS:", 0) == 0) return std::stol(line.substr(6));
  return -1;
}

constexpr int kEndless = 90000;

}  // namespace

TEST_CASE("a worker that is killed ends the job within 5 s with its name, and the others take the next job") {
  const auto model = tests::data_file("stories260k/stories260K.bin");
  if (!model) return;
  for (const char* scheme : {"tcp", "zmq+tcp"}) {
    CAPTURE(scheme);
    auto nodes = start_nodes(3, scheme);
    Command job(generate(model->string(), joined(nodes.uris), kEndless));
    job.wait_for_output();
    const auto start = Clock::now();
    ::kill(nodes.children.pid(1), SIGKILL);
    CHECK(job.wait() == 1);
    CHECK(seconds_since(start) < 5);
    CHECK_MESSAGE(job.output.find("node-2") != std::string::npos, job.output);
    Command next(generate(model->string(), nodes.uris[0] + "," + nodes.uris[2], 5));
    CHECK_MESSAGE(next.wait() == 0, next.output);
  }
}

TEST_CASE("a worker that hangs ends the job within 5 s with its name") {
  const auto model = tests::data_file("stories260k/stories260K.bin");
  if (!model) return;
  for (const char* scheme : {"tcp", "zmq+tcp"}) {
    CAPTURE(scheme);
    auto nodes = start_nodes(2, scheme);
    Command job(generate(model->string(), joined(nodes.uris), kEndless));
    job.wait_for_output();
    const auto start = Clock::now();
    ::kill(nodes.children.pid(0), SIGSTOP);
    CHECK(job.wait() == 1);
    CHECK(seconds_since(start) < 5);
    CHECK_MESSAGE(job.output.find("node-1") != std::string::npos, job.output);
    ::kill(nodes.children.pid(0), SIGCONT);
    Command next(generate(model->string(), joined(nodes.uris), 5));
    CHECK_MESSAGE(next.wait() == 0, next.output);
  }
}

TEST_CASE("a master that is killed leaves nodes free for the next job, their memory back at the baseline") {
  const auto model = tests::data_file("stories260k/stories260K.bin");
  if (!model) return;
  auto nodes = start_nodes(2);
  Command first(generate(model->string(), joined(nodes.uris), 5));
  CHECK(first.wait() == 0);
  const long baseline = resident_kib(nodes.children.pid(0));
  for (int i = 0; i < 5; ++i) {
    Command job(generate(model->string(), joined(nodes.uris), kEndless));
    job.wait_for_output();
    ::kill(job.pid(), SIGKILL);
    job.wait();
  }
  Command next(generate(model->string(), joined(nodes.uris), 5));
  CHECK_MESSAGE(next.wait() == 0, next.output);
  // A mebibyte for the allocator's own pages; five jobs' caches would be far more. AddressSanitizer keeps what was
  // freed to find late uses.
#if !defined(__SANITIZE_ADDRESS__)
  CHECK(resident_kib(nodes.children.pid(0)) <= baseline + 1024);
#else
  CHECK(baseline > 0);
#endif
}

TEST_CASE("garbage at a node's door is turned away and disturbs no job") {
  const auto model = tests::data_file("stories260k/stories260K.bin");
  if (!model) return;
  auto nodes = start_nodes(1);
  const std::uint16_t port = static_cast<std::uint16_t>(std::stoi(nodes.uris[0].substr(nodes.uris[0].rfind(':') + 1)));
  const std::string noise(100000, '\x5a');
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), noise, std::string(), std::string("SLG1")}) {
    auto socket = tools::connect_to("127.0.0.1", port, Clock::now() + std::chrono::seconds(2));
    // The node may close before it has read everything: that is the point.
    [[maybe_unused]] const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  auto silent = tools::connect_to("127.0.0.1", port, Clock::now() + std::chrono::seconds(2));
  Command job(generate(model->string(), joined(nodes.uris), 20));
  CHECK_MESSAGE(job.wait() == 0, job.output);
}

TEST_CASE("a second master is told that the node is busy") {
  const auto model = tests::data_file("stories260k/stories260K.bin");
  if (!model) return;
  auto nodes = start_nodes(1);
  Command job(generate(model->string(), joined(nodes.uris), kEndless));
  job.wait_for_output();
  Command second(generate(model->string(), joined(nodes.uris), 5));
  CHECK(second.wait() == 1);
  CHECK_MESSAGE(second.output.find("busy") != std::string::npos, second.output);
}

TEST_CASE("an MPI rank that is killed ends the whole job with an error within 5 s") {
#ifdef STARLING_MPI
  const auto model = tests::data_file("stories260k/stories260K.bin");
  if (!model) return;
  Command job({program(), "generate", model->string(), "--prompt", "Once", "--tokens", std::to_string(kEndless), "--ctx",
               "100000", "--nodes", "local:3", "--transport", "mpi"});
  job.wait_for_output();
  // The job is mpirun now; its ranks are the processes it started.
  std::ifstream children("/proc/" + std::to_string(job.pid()) + "/task/" + std::to_string(job.pid()) + "/children");
  pid_t rank = -1;
  for (pid_t child; children >> child;) rank = child;
  REQUIRE(rank > 0);
  const auto start = Clock::now();
  ::kill(rank, SIGKILL);
  CHECK(job.wait() != 0);
  CHECK(seconds_since(start) < 5);
#endif
}
