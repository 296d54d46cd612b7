// Control messages: they survive the wire, and no broken one gets through.
#include "comm/control.h"

#include <cstring>

#include <doctest/doctest.h>

using namespace starling;

namespace {

comm::Hello example() {
  return {comm::Role::peer, 3, 2, 5, {"k\u00fcche", 4, std::uint64_t{8} << 30, "avx2", "0.1.0"}};
}

}  // namespace

TEST_CASE("control messages come back as they were") {
  const comm::Hello hello = comm::decode_hello(comm::encode_hello(example()), "node-9");
  CHECK(hello.role == comm::Role::peer);
  CHECK(hello.rank == 3);
  CHECK(hello.your_rank == 2);
  CHECK(hello.size == 5);
  CHECK(hello.node.name == "k\u00fcche");
  CHECK(hello.node.threads == 4);
  CHECK(hello.node.memory_bytes == std::uint64_t{8} << 30);
  CHECK(hello.node.simd == "avx2");
  CHECK(hello.node.version == "0.1.0");
  CHECK(comm::decode_refuse(comm::encode_refuse("busy"), "node-9") == "busy");
  const comm::Abort abort = comm::decode_abort(comm::encode_abort({core::Kind::overloaded, "no memory"}), "node-9");
  CHECK(abort.kind == core::Kind::overloaded);
  CHECK(abort.reason == "no memory");
  const std::vector<std::string> addresses{"tcp://10.0.0.1:7070", "tcp://[::1]:7071"};
  CHECK(comm::decode_peers(comm::encode_peers(addresses), "node-9") == addresses);
  const comm::Linked linked = comm::decode_linked(comm::encode_linked({{1, 4}, {"refused", "timeout"}}), "node-9");
  CHECK(linked.unreachable == std::vector<std::uint32_t>{1, 4});
  CHECK(linked.reasons == std::vector<std::string>{"refused", "timeout"});
}

TEST_CASE("texts that are too long are cut, so that a hello always fits its bound") {
  comm::Hello hello = example();
  hello.node.name = hello.node.simd = hello.node.version = std::string(100000, 'x');
  CHECK(comm::encode_hello(hello).size() <= comm::kHelloBytesMax);
  CHECK(comm::encode_abort({core::Kind::internal, std::string(100000, 'x')}).size() <= comm::kControlBytesMax);
  comm::Linked linked;
  for (std::uint32_t i = 0; i < comm::kRanksMax; ++i) {
    linked.unreachable.push_back(i);
    linked.reasons.push_back(std::string(300, 'x'));
  }
  CHECK(comm::encode_linked(linked).size() <= comm::kControlBytesMax);
}

TEST_CASE("a hello cut at any byte or damaged in any byte is refused by name or harmless") {
  const std::vector<std::byte> good = comm::encode_hello(example());
  for (std::size_t size = 0; size < good.size(); ++size) {
    try {
      comm::decode_hello(core::Bytes(good).first(size), "node-9");
      FAIL_CHECK("a hello of ", size, " bytes was accepted");
    } catch (const core::Error& error) {
      CHECK(error.kind() == core::Kind::malformed);
      CHECK(std::string(error.what()).find("node-9: ") == 0);
    }
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::vector<std::byte> bad = good;
    bad[i] ^= std::byte{0xff};
    try {
      comm::decode_hello(bad, "node-9");
    } catch (const core::Error& error) {
      CHECK(error.kind() == core::Kind::malformed);
    }
  }
}

TEST_CASE("a hello with impossible numbers is refused") {
  const auto refused = [](auto change) {
    comm::Hello hello = example();
    change(hello);
    try {
      comm::decode_hello(comm::encode_hello(hello), "node-9");
    } catch (const core::Error& error) {
      return error.kind() == core::Kind::malformed;
    }
    return false;
  };
  CHECK(refused([](comm::Hello& h) { h.size = 1; }));
  CHECK(refused([](comm::Hello& h) { h.size = comm::kRanksMax + 1; }));
  CHECK(refused([](comm::Hello& h) { h.rank = 5; }));
  CHECK(refused([](comm::Hello& h) { h.your_rank = 3; }));
  CHECK(refused([](comm::Hello& h) { h.role = static_cast<comm::Role>(3); }));
  CHECK(refused([](comm::Hello& h) { h.node.threads = 1 << 20; }));
}
