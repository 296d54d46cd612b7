#include "comm/control.h"

#include "comm/message.h"
#include "comm/wire.capnp.h"

namespace starling::comm {

namespace {

/// Texts are cut, not refused, when we write them: a reason is for people.
constexpr std::size_t kTextBytesMax = 1000;

/// A std::string, not a view: Cap'n Proto expects a zero after the last byte.
capnp::Text::Reader text(const std::string& s) { return {s.c_str(), s.size()}; }

std::string shortened(std::string_view s) { return std::string(s.substr(0, kTextBytesMax)); }

template <class T, class Read>
auto unpack(core::Bytes bytes, std::string_view peer, std::string_view what, Read&& read) {
  return decode_message<T>(bytes, peer, what, std::forward<Read>(read), kControlBytesMax);
}

std::string str(capnp::Text::Reader reader) { return {reader.begin(), reader.size()}; }

}  // namespace

std::vector<std::byte> encode_hello(const Hello& hello) {
  const std::string name = hello.node.name.substr(0, 200);
  const std::string simd = hello.node.simd.substr(0, 200);
  const std::string version = hello.node.version.substr(0, 200);
  return encode_message<wire::Hello>([&](wire::Hello::Builder out) {
    out.setRole(static_cast<wire::Hello::Role>(hello.role));
    out.setRank(hello.rank);
    out.setYourRank(hello.your_rank);
    out.setSize(hello.size);
    auto node = out.initNode();
    node.setName(text(name));
    node.setThreads(static_cast<std::uint32_t>(hello.node.threads));
    node.setMemoryBytes(hello.node.memory_bytes);
    node.setSimd(text(simd));
    node.setVersion(text(version));
  });
}

Hello decode_hello(core::Bytes bytes, std::string_view peer) {
  return unpack<wire::Hello>(bytes, peer, "hello", [&](wire::Hello::Reader root) {
    Hello hello;
    const auto role = static_cast<std::uint16_t>(root.getRole());
    core::check(role <= 2, core::Kind::malformed, "{}: role {} of a hello message is unknown", peer, role);
    hello.role = static_cast<Role>(role);
    hello.rank = root.getRank();
    hello.your_rank = root.getYourRank();
    hello.size = root.getSize();
    core::check(hello.size >= 2 && hello.size <= kRanksMax, core::Kind::malformed,
                "{}: a hello message for {} ranks, expected 2 to {}", peer, hello.size, kRanksMax);
    core::check(hello.rank < hello.size && hello.your_rank < hello.size && hello.rank != hello.your_rank,
                core::Kind::malformed, "{}: a hello message from rank {} to rank {} of {}", peer, hello.rank,
                hello.your_rank, hello.size);
    const auto node = root.getNode();
    hello.node.name = str(node.getName());
    const std::uint32_t threads = node.getThreads();
    core::check(threads <= 65536, core::Kind::malformed, "{}: a hello message with {} threads", peer, threads);
    hello.node.threads = static_cast<int>(threads);
    hello.node.memory_bytes = node.getMemoryBytes();
    hello.node.simd = str(node.getSimd());
    hello.node.version = str(node.getVersion());
    return hello;
  });
}

std::vector<std::byte> encode_refuse(std::string_view reason) {
  const std::string cut = shortened(reason);
  return encode_message<wire::Refuse>([&](wire::Refuse::Builder out) { out.setReason(text(cut)); });
}

std::string decode_refuse(core::Bytes bytes, std::string_view peer) {
  return unpack<wire::Refuse>(bytes, peer, "refuse",
                              [](wire::Refuse::Reader root) { return str(root.getReason()); });
}

std::vector<std::byte> encode_abort(const Abort& abort) {
  const std::string cut = shortened(abort.reason);
  return encode_message<wire::Abort>([&](wire::Abort::Builder out) {
    out.setKind(static_cast<std::uint16_t>(abort.kind));
    out.setReason(text(cut));
  });
}

Abort decode_abort(core::Bytes bytes, std::string_view peer) {
  return unpack<wire::Abort>(bytes, peer, "abort", [&](wire::Abort::Reader root) {
    const std::uint16_t kind = root.getKind();
    core::check(kind <= static_cast<std::uint16_t>(core::Kind::internal), core::Kind::malformed,
                "{}: kind {} of an abort message is unknown", peer, kind);
    return Abort{static_cast<core::Kind>(kind), str(root.getReason())};
  });
}

std::vector<std::byte> encode_peers(const std::vector<std::string>& addresses) {
  std::vector<std::byte> bytes = encode_message<wire::Peers>([&](wire::Peers::Builder out) {
    auto list = out.initAddresses(static_cast<unsigned>(addresses.size()));
    for (std::size_t i = 0; i < addresses.size(); ++i) list.set(static_cast<unsigned>(i), text(addresses[i]));
  });
  core::check(bytes.size() <= kControlBytesMax, core::Kind::usage, "the addresses of {} ranks take {} bytes, limit {}",
              addresses.size(), bytes.size(), kControlBytesMax);
  return bytes;
}

std::vector<std::string> decode_peers(core::Bytes bytes, std::string_view peer) {
  return unpack<wire::Peers>(bytes, peer, "peers", [&](wire::Peers::Reader root) {
    const auto list = root.getAddresses();
    core::check(list.size() <= kRanksMax, core::Kind::malformed, "{}: a peers message with {} addresses, limit {}",
                peer, list.size(), kRanksMax);
    std::vector<std::string> addresses;
    for (const auto address : list) addresses.push_back(str(address));
    return addresses;
  });
}

std::vector<std::byte> encode_linked(const Linked& linked) {
  core::ensure(linked.reasons.size() == linked.unreachable.size(), "a linked message needs a reason for each rank");
  // Many reasons share the message's bound; the first ones say enough.
  const std::size_t each_max = std::min<std::size_t>(200, 32000 / (linked.unreachable.size() + 1));
  return encode_message<wire::Linked>([&](wire::Linked::Builder out) {
    auto ranks = out.initUnreachable(static_cast<unsigned>(linked.unreachable.size()));
    auto reasons = out.initReasons(static_cast<unsigned>(linked.unreachable.size()));
    for (std::size_t i = 0; i < linked.unreachable.size(); ++i) {
      const std::string cut = linked.reasons[i].substr(0, each_max);
      ranks.set(static_cast<unsigned>(i), linked.unreachable[i]);
      reasons.set(static_cast<unsigned>(i), text(cut));
    }
  });
}

Linked decode_linked(core::Bytes bytes, std::string_view peer) {
  return unpack<wire::Linked>(bytes, peer, "linked", [&](wire::Linked::Reader root) {
    const auto ranks = root.getUnreachable();
    const auto reasons = root.getReasons();
    core::check(ranks.size() <= kRanksMax && reasons.size() == ranks.size(), core::Kind::malformed,
                "{}: a linked message with {} ranks and {} reasons", peer, ranks.size(), reasons.size());
    Linked linked;
    for (const std::uint32_t rank : ranks) linked.unreachable.push_back(rank);
    for (const auto reason : reasons) linked.reasons.push_back(str(reason));
    return linked;
  });
}

}  // namespace starling::comm
