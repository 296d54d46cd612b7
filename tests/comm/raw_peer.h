// A TCP client without any of our code below the frame: for what a stranger may do to a front door.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "comm/control.h"
#include "comm/frame.h"

namespace starling::tests {

class RawPeer {
 public:
  /// To a "tcp://127.0.0.1:port" address.
  explicit RawPeer(const std::string& uri) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(uri.substr(uri.rfind(':') + 1))));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    CHECK(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~RawPeer() { close(fd_); }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  void send(core::Bytes bytes) {
    CHECK(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  void send(const comm::Header& header, core::Bytes payload) {
    const auto bytes = comm::encode(header, payload);
    send(bytes);
    send(payload);
  }
  /// All bytes until the other side closes; nullopt-like marker: `closed` is false when it did not in time.
  std::vector<std::byte> read_to_end(int timeout_ms, bool& closed) {
    std::vector<std::byte> all;
    std::byte chunk[4096];
    closed = false;
    pollfd entry{fd_, POLLIN, 0};
    while (poll(&entry, 1, timeout_ms) == 1) {
      const ssize_t count = recv(fd_, chunk, sizeof chunk, 0);
      if (count <= 0) {
        closed = true;
        break;
      }
      all.insert(all.end(), chunk, chunk + count);
    }
    return all;
  }
  /// The reason of the refusal that answers and ends this connection, or what came instead.
  std::string refusal(int timeout_ms = 5000) {
    bool closed = false;
    const std::vector<std::byte> answer = read_to_end(timeout_ms, closed);
    if (!closed) return "(still open)";
    if (answer.size() < comm::kHeaderBytes) return "(closed)";
    const core::Bytes bytes(answer);
    const auto decoded = comm::decode(bytes.first<comm::kHeaderBytes>(), comm::kHelloBytesMax, "door");
    if (decoded.header.kind != comm::Kind::refuse) return "(no refusal)";
    return comm::decode_refuse(bytes.subspan(comm::kHeaderBytes), "door");
  }

 private:
  int fd_;
};

inline comm::Header hello_header(std::uint64_t session, std::uint32_t epoch, std::uint32_t from) {
  comm::Header header;
  header.kind = comm::Kind::hello;
  header.session = session;
  header.epoch = epoch;
  header.from = from;
  return header;
}

}  // namespace starling::tests
