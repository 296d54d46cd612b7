// One client's connection: reads requests one after the other, hands them on and writes what comes back.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "comm/asio.h"
#include "tools/serve/http_server.h"

namespace starling::tools {

/// Lives while it has operations under way or an exchange is held; every member but those of Exchange belongs to
/// the server's thread.
class HttpConnection final : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Time = std::chrono::steady_clock::time_point;

  HttpConnection(boost::asio::ip::tcp::socket socket, const HttpOptions& options, const HttpHandler& handler);

  void start();
  /// Answers and closes, whatever the client asks.
  void refuse(const HttpReply& reply);
  /// Closes what has been waited for too long; keeps silent streams alive.
  void check(Time now);
  /// No more requests: closes now, or when the answer under way is complete.
  void finish();
  void close();
  bool closed() const { return !socket_.is_open(); }
  bool busy() const { return answering_ != 0; }

 private:
  class Answer;
  void read();
  void received(std::size_t bytes);
  void next_request();
  void dispatch(HttpRequest request);
  void write(std::string bytes);
  void write_event(std::string text);
  void write_more();
  void complete();
  void linger();

  boost::asio::ip::tcp::socket socket_;
  const HttpOptions& options_;
  const HttpHandler& handler_;
  RequestReader reader_;
  std::string in_;
  std::string out_, writing_;  // waiting; and with the kernel, from written_ on
  std::size_t written_ = 0;
  bool reading_ = false, write_under_way_ = false;
  bool keep_alive_ = true;
  bool only_head_ = false, chunks_ = true;  // as the request under way wants its answer
  bool streaming_ = false;
  bool finished_ = false;   // the answer is complete, though perhaps not yet written
  bool lingering_ = false;  // our side is closed; what still comes is thrown away
  std::uint64_t answering_ = 0, answers_ = 0;  // number of the request under way, 0: none
  std::function<void()> gone_;
  Time read_deadline_, write_deadline_, last_write_;
};

}  // namespace starling::tools
