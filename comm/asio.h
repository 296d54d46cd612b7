// The only way to Boost.Asio: 1.74 forgets <utility>, and g++ 12 warns wrongly about its operator delete.
// Asio resolves, connects, accepts and sets options; frames travel on the native sockets.
#pragma once

#include <utility>

#pragma GCC diagnostic push
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
#include <boost/asio.hpp>
#pragma GCC diagnostic pop
