#include "tools/serve/http_connection.h"

#include "tools/serve/api_error.h"

namespace starling::tools {
namespace {

namespace asio = boost::asio;
using Code = boost::system::error_code;
using std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 16 << 10;
/// What a client may send ahead while its request is being answered, before it is no longer read from.
constexpr std::size_t kAheadBytes = 64 << 10;
constexpr std::chrono::seconds kLinger{2};
constexpr auto kNever = steady_clock::time_point::max();

}  // namespace

/// The exchange of one request. It may outlive the request: then it does nothing.
class HttpConnection::Answer final : public Exchange {
 public:
  Answer(std::shared_ptr<HttpConnection> connection, std::uint64_t number)
      : connection_(std::move(connection)), executor_(connection_->socket_.get_executor()), number_(number) {}

  void reply(HttpReply reply) override {
    on_thread([reply = std::move(reply)](HttpConnection& c) {
      c.write(encode_reply(reply, c.keep_alive_, c.only_head_));
      c.finished_ = true;
      c.complete();
    });
  }
  void stream() override {
    on_thread([](HttpConnection& c) {
      c.streaming_ = true;
      c.keep_alive_ = c.keep_alive_ && c.chunks_;  // the end of the connection ends what has no chunks
      c.write(encode_stream_head(c.keep_alive_, c.chunks_));
    });
  }
  void event(std::string_view data) override {
    on_thread([text = "data: " + std::string(data) + "\n\n"](HttpConnection& c) mutable { c.write_event(std::move(text)); });
  }
  void end() override {
    on_thread([](HttpConnection& c) {
      if (c.chunks_) c.write(encode_chunk(""));
      c.finished_ = true;
      c.complete();
    });
  }
  void on_gone(std::function<void()> gone) override {
    asio::dispatch(executor_, [c = connection_, number = number_, gone = std::move(gone)]() mutable {
      if (c->answering_ != number) gone();
      else c->gone_ = std::move(gone);
    });
  }
  void run(std::function<void()> work) override { asio::post(executor_, std::move(work)); }

 private:
  template <class Work>
  void on_thread(Work work) {
    asio::dispatch(executor_, [c = connection_, number = number_, work = std::move(work)]() mutable {
      if (c->answering_ == number && !c->finished_) work(*c);
    });
  }

  std::shared_ptr<HttpConnection> connection_;
  asio::any_io_executor executor_;
  std::uint64_t number_;
};

HttpConnection::HttpConnection(asio::ip::tcp::socket socket, const HttpOptions& options, const HttpHandler& handler)
    : socket_(std::move(socket)),
      options_(options),
      handler_(handler),
      reader_(options.limits),
      in_(kReadBytes, '\0'),
      read_deadline_(steady_clock::now() + options.idle_time),
      write_deadline_(kNever),
      last_write_(steady_clock::now()) {
  Code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

void HttpConnection::start() { read(); }

void HttpConnection::refuse(const HttpReply& reply) {
  keep_alive_ = false;
  finished_ = true;
  write(encode_reply(reply, false));
  read();
}

void HttpConnection::read() {
  if (reading_ || closed() || (busy() && reader_.backlog() > kAheadBytes)) return;
  reading_ = true;
  socket_.async_read_some(asio::buffer(in_), [self = shared_from_this()](Code error, std::size_t bytes) {
    self->reading_ = false;
    if (error) return self->close();
    self->received(bytes);
  });
}

void HttpConnection::received(std::size_t bytes) {
  if (!lingering_) {
    reader_.push(std::string_view(in_).substr(0, bytes));
    if (!busy()) next_request();
  }
  read();
}

void HttpConnection::next_request() {
  const bool begun = reader_.begun(), in_body = reader_.in_body();
  try {
    if (reader_.parse()) {
      read_deadline_ = kNever;
      return dispatch(reader_.take());
    }
  } catch (const ApiError& error) {
    answering_ = ++answers_;
    return refuse(error_reply(error));
  }
  if (!begun && reader_.begun()) read_deadline_ = steady_clock::now() + options_.head_time;
  if (!in_body && reader_.in_body()) read_deadline_ = steady_clock::now() + options_.body_time;
  if (reader_.wants_continue()) write("HTTP/1.1 100 Continue\r\n\r\n");
}

void HttpConnection::dispatch(HttpRequest request) {
  answering_ = ++answers_;
  finished_ = streaming_ = false;
  keep_alive_ = keep_alive_ && request.keep_alive;
  only_head_ = request.method == "HEAD";
  chunks_ = request.chunks;
  const auto answer = std::make_shared<Answer>(shared_from_this(), answering_);
  try {
    handler_(std::move(request), answer);
  } catch (const std::exception& error) {
    answer->reply(error_reply(as_api_error(error)));
  }
}

void HttpConnection::write(std::string bytes) {
  if (closed()) return;
  if (out_.empty()) out_ = std::move(bytes);
  else out_ += bytes;
  if (streaming_ && out_.size() > options_.unread_bytes) return close();
  write_more();
}

void HttpConnection::write_event(std::string text) { write(chunks_ ? encode_chunk(text) : std::move(text)); }

void HttpConnection::write_more() {
  if (write_under_way_ || closed()) return;
  if (written_ == writing_.size()) {
    writing_.clear();
    writing_.swap(out_);
    written_ = 0;
  }
  if (writing_.empty()) {
    write_deadline_ = kNever;
    return complete();
  }
  write_under_way_ = true;
  write_deadline_ = steady_clock::now() + options_.write_time;
  const auto rest = asio::buffer(writing_.data() + written_, writing_.size() - written_);
  socket_.async_write_some(rest, [self = shared_from_this()](Code error, std::size_t bytes) {
    if (error) return self->close();
    self->write_under_way_ = false;
    self->written_ += bytes;
    self->last_write_ = steady_clock::now();
    self->write_more();
  });
}

/// The answer is complete and written: the next request's turn, or the end.
void HttpConnection::complete() {
  if (!finished_ || write_under_way_ || !out_.empty() || lingering_) return;
  answering_ = 0;
  gone_ = nullptr;
  if (!keep_alive_) return linger();
  finished_ = streaming_ = false;
  read_deadline_ = steady_clock::now() + options_.idle_time;
  // Not from here: a client that sends many requests ahead would deepen the stack with each.
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->busy() || self->lingering_ || self->closed()) return;
    self->next_request();
    self->read();
  });
}

/// A reset would take the last bytes from a client that is still sending: our side is closed first.
void HttpConnection::linger() {
  lingering_ = true;
  Code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  read_deadline_ = steady_clock::now() + kLinger;
  read();
}

void HttpConnection::check(Time now) {
  if (closed()) return;
  if (now >= write_deadline_ || now >= read_deadline_) return close();
  if (streaming_ && !finished_ && !write_under_way_ && now - last_write_ >= options_.ping_time)
    write_event(": ping\n\n");
}

void HttpConnection::finish() {
  keep_alive_ = false;
  if (!busy()) close();
}

void HttpConnection::close() {
  if (closed()) return;
  Code ignored;
  socket_.close(ignored);
  answering_ = 0;
  out_.clear();
  if (const auto gone = std::exchange(gone_, nullptr)) gone();
}

}  // namespace starling::tools
