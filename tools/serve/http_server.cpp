#include "tools/serve/http_server.h"

#include <charconv>
#include <csignal>
#include <unordered_set>

#include "comm/asio.h"
#include "tools/serve/api_error.h"
#include "tools/serve/http_connection.h"

namespace starling::tools {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using core::Kind;
using Code = boost::system::error_code;

constexpr std::chrono::seconds kSweep{1};
/// Without descriptors an accept fails at once, again and again.
constexpr std::chrono::milliseconds kAcceptAgain{100};

}  // namespace

void parse_address(const std::string& text, const char* option, HttpOptions& options) {
  const std::size_t colon = text.rfind(':');
  std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
  const std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  core::check(error == std::errc() && end == port.data() + port.size(), Kind::usage,
              "{} {}: expected HOST:PORT with a port from 0 to 65535", option, text);
  if (!host.empty()) options.host = host;
  options.port = number;
}

struct HttpServer::State {
  State(const HttpOptions& o, HttpHandler h)
      : options(o), handler(std::move(h)), acceptor(context), sweep(context), pause(context), last(context), signals(context) {}

  void listen();
  void accept();
  void take(tcp::socket socket);
  void tick();
  void wait_for_signal();
  void begin_to_stop();
  void end_when_idle();

  HttpOptions options;
  HttpHandler handler;
  asio::io_context context{1};
  tcp::acceptor acceptor;
  asio::steady_timer sweep, pause, last;
  asio::signal_set signals;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections;
  std::function<void()> on_stop;
  std::string url;
  bool loopback = true;
  bool stopping = false;
};

void HttpServer::State::listen() {
  Code error;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  core::check(!error && !found.empty(), Kind::unreachable, "--http {}: {}", options.host, error.message());
  const tcp::endpoint endpoint = *found.begin();
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  core::check(!error, Kind::unreachable, "--http {}:{}: {}", options.host, options.port, error.message());
  const tcp::endpoint bound = acceptor.local_endpoint();
  loopback = bound.address().is_loopback();
  const std::string host = bound.address().is_v6() ? "[" + bound.address().to_string() + "]" : bound.address().to_string();
  url = fmt::format("http://{}:{}", host, bound.port());
}

void HttpServer::State::accept() {
  acceptor.async_accept([this](Code error, tcp::socket socket) {
    if (stopping || error == asio::error::operation_aborted) return;
    if (!error) {
      take(std::move(socket));
      return accept();
    }
    pause.expires_after(kAcceptAgain);
    pause.async_wait([this](Code) {
      if (!stopping) accept();
    });
  });
}

void HttpServer::State::take(tcp::socket socket) {
  const auto connection = std::make_shared<HttpConnection>(std::move(socket), options, handler);
  if (connections.size() >= static_cast<std::size_t>(options.connections))
    std::erase_if(connections, [](const auto& c) { return c->closed(); });
  const bool full = connections.size() >= static_cast<std::size_t>(options.connections);
  // Those that are turned away live for seconds only, but even they are counted.
  if (connections.size() >= 2 * static_cast<std::size_t>(options.connections)) return connection->close();
  connections.insert(connection);
  if (full)
    connection->refuse(error_reply(ApiError(503, "unavailable_error", fmt::format("the server has its {} connections", options.connections))));
  else
    connection->start();
}

void HttpServer::State::tick() {
  sweep.expires_after(kSweep);
  sweep.async_wait([this](Code error) {
    if (error) return;
    const auto now = std::chrono::steady_clock::now();
    for (const auto& connection : connections) connection->check(now);
    std::erase_if(connections, [](const auto& c) { return c->closed(); });
    if (stopping) end_when_idle();
    tick();
  });
}

void HttpServer::State::wait_for_signal() {
  signals.async_wait([this](Code error, int) {
    if (error) return;
    if (stopping) return context.stop();
    begin_to_stop();
    wait_for_signal();
  });
}

void HttpServer::State::begin_to_stop() {
  if (stopping) return;
  stopping = true;
  Code ignored;
  acceptor.close(ignored);
  if (on_stop) on_stop();
  for (const auto& connection : connections) connection->finish();
  last.expires_after(options.stop_time);
  last.async_wait([this](Code error) {
    if (!error) context.stop();
  });
  end_when_idle();
}

void HttpServer::State::end_when_idle() {
  std::erase_if(connections, [](const auto& c) { return c->closed(); });
  if (connections.empty()) context.stop();
}

HttpServer::HttpServer(const HttpOptions& options, HttpHandler handler)
    : state_(std::make_unique<State>(options, std::move(handler))) {
  state_->listen();
}

HttpServer::~HttpServer() {
  for (const auto& connection : state_->connections) connection->close();
  state_->connections.clear();
}

const std::string& HttpServer::url() const { return state_->url; }
bool HttpServer::loopback() const { return state_->loopback; }

void HttpServer::run(std::function<void()> stopping) {
  State& s = *state_;
  s.on_stop = std::move(stopping);
  s.accept();
  s.tick();
  s.context.run();
  for (const auto& connection : s.connections) connection->close();
}

void HttpServer::stop() {
  asio::post(state_->context, [this] { state_->begin_to_stop(); });
}

void HttpServer::stop_on_signals() {
  asio::post(state_->context, [this] {
    state_->signals.add(SIGINT);
    state_->signals.add(SIGTERM);
    state_->wait_for_signal();
  });
}

void HttpServer::post(std::function<void()> work) { asio::post(state_->context, std::move(work)); }

}  // namespace starling::tools
