#include "tools/self.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>

#include "tools/measure.h"

namespace starling::tools {

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "node";
  return name.data();
}

comm::NodeInfo describe_self(std::string name, int threads) {
  const Machine machine = describe_machine();
  comm::NodeInfo info;
  info.name = std::move(name);
  info.threads = threads;
  info.memory_bytes = machine.memory_bytes;
  info.simd = machine.simd;
  info.version = STARLING_VERSION;
  return info;
}

std::uint64_t new_session() {
  std::random_device entropy;
  return (static_cast<std::uint64_t>(entropy()) << 32) | entropy();
}

int threads_per_rank(int asked, int ranks_here) { return asked > 0 ? asked : std::max(1, describe_machine().cores / ranks_here); }

bool is_loopback(std::string_view uri) {
  const std::size_t scheme = uri.find("://");
  std::string_view host = scheme == std::string_view::npos ? uri : uri.substr(scheme + 3);
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') - 1);
  } else {
    host = host.substr(0, host.rfind(':'));
  }
  if (host == "localhost" || host == "::1") return true;
  // 127.0.0.0/8 written as four numbers: a name such as 127.example.org is not it.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace starling::tools
