// Hosts files, lists of addresses and sizes: what is read, and what is said about mistakes.
#include "tools/hosts.h"

#include <doctest/doctest.h>

#include "tests/tools/program.h"
#include "tools/sizes.h"

using namespace starling;
using core::Kind;
using tests::contains;
using tests::refusal;

TEST_CASE("a hosts file gives every node with all that is said about it") {
  const auto hosts = tools::parse_hosts(R"(
    [[node]]
    name = "shelf"
    uri = "tcp://10.0.0.5:7070"
    ssh = "ada@10.0.0.5"
    program = "/opt/starling/bin/starling"
    memory = "1.5G"
    threads = 4
    share = 2.5
    link = "delay=1ms,rate=300mbit"
    profile = "pi4"
    [[node]]
    uri = "zmq+tcp://[fe80::1]:7071"
    share = 0
  )", "hosts.toml");
  REQUIRE(hosts.size() == 2);
  CHECK(hosts[0].name == "shelf");
  CHECK(hosts[0].uri == "tcp://10.0.0.5:7070");
  CHECK(hosts[0].ssh == "ada@10.0.0.5");
  CHECK(hosts[0].program == "/opt/starling/bin/starling");
  CHECK(hosts[0].memory_bytes == 1536u << 20);
  CHECK(hosts[0].threads == 4);
  CHECK(hosts[0].share == 2.5);
  CHECK(hosts[0].link == sim::LinkSpec{std::chrono::milliseconds(1), 37.5e6});
  CHECK(hosts[0].profile == "pi4");
  CHECK(hosts[1].name.empty());
  CHECK(hosts[1].share == 0.0);
  CHECK_FALSE(hosts[1].link);
}

TEST_CASE("a mistake in a hosts file is named with file, node and key") {
  struct Case {
    std::string toml;
    Kind kind;
    std::string said;
  };
  const Case cases[] = {
      {"", Kind::malformed, "h.toml: no [[node]]"},
      {"node = 3", Kind::malformed, "h.toml: no [[node]]"},
      {"[[node]]\nuri = ", Kind::malformed, "h.toml: line 2"},
      {"[[nodes]]\nuri = \"tcp://a:1\"", Kind::usage, "h.toml: unknown key 'nodes'; did you mean 'node'?"},
      {"[[node]]\nurl = \"tcp://a:1\"", Kind::usage, "h.toml: node 1: unknown key 'url'; did you mean 'uri'?"},
      {"[[node]]\nname = \"a\"", Kind::malformed, "h.toml: node 1: no uri"},
      {"[[node]]\nuri = 7", Kind::malformed, "h.toml: node 1: uri: expected a text"},
      {"[[node]]\nuri = \"tpc://a:1\"", Kind::malformed, "h.toml: node 1: uri: 'tpc://a:1': unknown scheme 'tpc'; did you mean 'tcp'?"},
      {"[[node]]\nuri = \"tcp://a:0\"", Kind::malformed, "h.toml: node 1: uri: 'tcp://a:0': a port above 0"},
      {"[[node]]\nuri = \"tcp://a:1\"\n[[node]]\nuri = \"tcp://a:1\"", Kind::malformed, "h.toml: tcp://a:1 is given twice"},
      {"[[node]]\nname=\"x\"\nuri = \"tcp://a:1\"\n[[node]]\nname=\"x\"\nuri = \"tcp://a:2\"", Kind::malformed, "two nodes are named 'x'"},
      {"[[node]]\nuri = \"tcp://a:1\"\nthreads = 0", Kind::malformed, "node 1: threads: expected a number from 1"},
      {"[[node]]\nuri = \"tcp://a:1\"\nthreads = 1.5", Kind::malformed, "node 1: threads: expected a number from 1"},
      {"[[node]]\nuri = \"tcp://a:1\"\nshare = -1", Kind::malformed, "node 1: share: expected a number that is not negative"},
      {"[[node]]\nuri = \"tcp://a:1\"\nshare = nan", Kind::malformed, "node 1: share"},
      {"[[node]]\nuri = \"tcp://a:1\"\nmemory = \"lots\"", Kind::malformed, "node 1: memory: 'lots' is no size"},
      {"[[node]]\nuri = \"tcp://a:1\"\nlink = \"delay=1h\"", Kind::malformed, "node 1: link: link: delay=1h: unknown unit 'h'"},
      {"[[node]]\nuri = \"tcp://a:1\"\nssh = \"-oProxyCommand=x\"", Kind::malformed, "node 1: ssh"},
      {"[[node]]\nuri = \"tcp://a:1\"\nprogram = \"x'; rm y\"", Kind::malformed, "node 1: program"},
      {"[[node]]\nuri = \"tcp://a:1\"\nname = \"a\\nb\"", Kind::malformed, "node 1: name"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.toml);
    const std::string said = refusal(c.kind, [&] { tools::parse_hosts(c.toml, "h.toml"); });
    CHECK_MESSAGE(contains(said, c.said), said);
  }
  CHECK(contains(refusal(Kind::missing, [] { tools::load_hosts("/no/such.toml"); }), "/no/such.toml"));
}

TEST_CASE("a list of addresses is checked before anybody is called") {
  CHECK(tools::parse_uris("tcp://a:1,zmq+tcp://b:2").size() == 2);
  const auto said = [](const char* list) { return refusal(Kind::usage, [&] { tools::parse_uris(list); }); };
  CHECK(contains(said("tcp://a:1,"), "address '': no scheme"));
  CHECK(contains(said("tcp://a"), "no port"));
  CHECK(contains(said("tcp://:5"), "no host"));
  CHECK(contains(said("tcp://a:65536"), "'tcp://a:65536': the port is no number up to 65535"));
  CHECK(contains(said("tcp://a:1x"), "the port is no number"));
  CHECK(contains(said("tcp://a:1,tcp://a:1"), "given twice"));
  CHECK(contains(said("zmq://a:1"), "unknown scheme 'zmq'"));
  const auto address = tools::parse_uri("tcp://[::1]:7070");
  CHECK(address.host == "::1");
  CHECK(address.port == 7070);
}

TEST_CASE("sizes are powers of 1024, with a B of 1000") {
  CHECK(tools::parse_size("4096", "--memory") == 4096);
  CHECK(tools::parse_size("64k", "--memory") == 65536);
  CHECK(tools::parse_size("512M", "--memory") == 512u << 20);
  CHECK(tools::parse_size("1.5GiB", "--memory") == 1536u << 20);
  CHECK(tools::parse_size("2MB", "--memory") == 2000000);
  for (const std::string wrong : {"", "G", "12X", "1Gx", "-1G", "0", "nan", "inf", "9e30G", "1 G"}) {
    CAPTURE(wrong);
    CHECK(contains(refusal(Kind::usage, [&] { tools::parse_size(wrong, "--memory"); }), "--memory"));
  }
}
