// `starling serve` as a child of a test.
#pragma once

#include <string>
#include <vector>

#include "tests/tools/http_client.h"
#include "tests/tools/program.h"
#include "tools/process.h"

namespace starling::tests {

class Server {
 public:
  explicit Server(const std::string& model, std::vector<std::string> options = {}) {
    std::vector<std::string> arguments{program_path(), "serve", model, "--http", "127.0.0.1:0"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    children_.spawn(arguments, "server");
    const std::string url = children_.announcement(0, std::chrono::steady_clock::now() + std::chrono::seconds(60));
    port_ = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }
  std::uint16_t port() const { return port_; }
  pid_t pid() const { return children_.pid(0); }
  HttpClient client() const { return HttpClient(port_); }

 private:
  tools::Children children_;
  std::uint16_t port_ = 0;
};

}  // namespace starling::tests
