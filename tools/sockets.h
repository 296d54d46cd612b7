// TCP sockets on the loopback interface for the relay, its self-check and the doctor: plain calls with
// deadlines. Messages of models go over comm/transport.h, never over these.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "core/bytes.h"
#include "tools/descriptor.h"

namespace starling::tools {

using Deadline = std::chrono::steady_clock::time_point;

/// A listening socket on a free port of 127.0.0.1, non-blocking; `port` receives the port.
Descriptor listen_on_loopback(std::uint16_t& port);
/// Non-blocking with TCP_NODELAY, as all sockets here. Kind::unreachable names host, port and reason.
Descriptor connect_to(const std::string& host, std::uint16_t port, Deadline deadline);
void set_no_delay(const Descriptor& socket);
/// The next connection. Kind::timeout when none came.
Descriptor accept_from(const Descriptor& listener, Deadline deadline);
/// Two ends of one connection over the loopback interface.
std::pair<Descriptor, Descriptor> loopback_pair(Deadline deadline);

/// Kind::timeout, or Kind::unreachable when the peer closed or reset.
void write_all(const Descriptor& socket, core::Bytes data, Deadline deadline);
void read_exactly(const Descriptor& socket, std::span<std::byte> into, Deadline deadline);
/// At least one byte.
std::size_t read_some(const Descriptor& socket, std::span<std::byte> into, Deadline deadline);

}  // namespace starling::tools
