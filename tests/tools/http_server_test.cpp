#include "tools/serve/http_server.h"

#include <atomic>
#include <future>
#include <thread>

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/tools/http_client.h"
#include "tools/serve/api_error.h"

namespace starling::tests {
namespace {

using tools::Exchange;
using tools::HttpOptions;
using tools::HttpRequest;
using tools::HttpServer;
using namespace std::chrono_literals;

HttpOptions quick() {
  HttpOptions options;
  options.port = 0;
  options.limits = {1024, 4096};
  options.stop_time = 500ms;
  return options;
}

/// A server on a thread of its own.
struct Running {
  Running(const HttpOptions& options, tools::HttpHandler handler) : server(options, std::move(handler)), thread([this] { server.run(); }) {}
  ~Running() {
    server.stop();
    thread.join();
  }
  std::uint16_t port() const { return static_cast<std::uint16_t>(std::stoi(server.url().substr(server.url().rfind(':') + 1))); }

  HttpServer server;
  std::thread thread;
};

void echo(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  exchange->reply({200, "text/plain", request.method + " " + request.path + "?" + request.query + " " + request.body, {}});
}

TEST_CASE("a connection serves one request after the other, with bodies of given length and in chunks") {
  Running running(quick(), echo);
  HttpClient client(running.port());
  auto answer = client.get("/a%20b?x=1");
  CHECK(answer.status == 200);
  CHECK(answer.body == "GET /a b?x=1 ");
  CHECK(answer.headers.at("connection") == "keep-alive");
  CHECK(client.post("/p", "hello").body == "POST /p? hello");
  client.send("POST /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  CHECK(client.read().body == "POST /c? abcde");
  client.send(HttpClient::request("GET", "/1") + HttpClient::request("GET", "/2"));
  CHECK(client.read().body == "GET /1? ");
  CHECK(client.read().body == "GET /2? ");
  answer = client.ask("GET", "/last", "", "Connection: close\r\n");
  CHECK(answer.headers.at("connection") == "close");
  CHECK(client.closed_within(3s));
}

TEST_CASE("HEAD is answered as GET is, without the body") {
  Running running(quick(), echo);
  HttpClient client(running.port());
  client.send(HttpClient::request("HEAD", "/first"));
  const auto head = client.read_head();
  CHECK(head.status == 200);
  CHECK(head.headers.at("content-length") == "13");  // of "HEAD /first? "
  CHECK(client.get("/second").body == "GET /second? ");
}

TEST_CASE("a client of HTTP/1.0 gets events without chunks, up to the end of the connection") {
  Running running(quick(), [](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    exchange->stream();
    exchange->event("one");
    exchange->event("two");
    exchange->end();
  });
  HttpClient client(running.port());
  client.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto head = client.read_head();
  CHECK(head.headers.count("transfer-encoding") == 0);
  CHECK(head.headers.at("connection") == "close");
  CHECK(client.rest() == "data: one\n\ndata: two\n\n");
}

TEST_CASE("a request byte by byte is a request, and 100-continue is granted") {
  Running running(quick(), echo);
  HttpClient client(running.port());
  for (const char c : HttpClient::request("POST", "/slow", "xyz")) client.send(std::string(1, c));
  CHECK(client.read().body == "POST /slow? xyz");
  client.send("POST /e HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  client.send("ok");
  CHECK(client.read().body == "POST /e? ok");
}

TEST_CASE("what is no request, or too large a one, is answered and ends the connection") {
  Running running(quick(), echo);
  const auto expect = [&](const std::string& bytes, int status) {
    CAPTURE(bytes.substr(0, 60));
    HttpClient client(running.port());
    client.send(bytes);
    CHECK(client.read().status == status);
    CHECK(client.closed_within(5s));
  };
  expect("garbage\r\n\r\n", 400);
  expect("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400);
  expect("POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 413);
  expect("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", 413);
  expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + std::string(5000, 'a'), 413);
  expect("GET / HTTP/1.1\r\nX: " + std::string(2000, 'a') + "\r\n\r\n", 431);
  HttpClient client(running.port());
  client.send(HttpClient::request("GET", "/first") + "then garbage\r\n\r\n");
  CHECK(client.read().status == 200);
  CHECK(client.read().status == 400);
}

TEST_CASE("events go out as they come, and a client that leaves is noticed") {
  std::promise<std::shared_ptr<Exchange>> given;
  std::promise<void> gone;
  Running running(quick(), [&](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
    exchange->stream();
    exchange->event("one");
    if (request.path == "/short") return exchange->end();
    exchange->on_gone([&] { gone.set_value(); });
    given.set_value(exchange);
  });
  HttpClient client(running.port());
  const auto answer = client.get("/short");
  CHECK(answer.headers.at("content-type") == "text/event-stream");
  CHECK(answer.events() == std::vector<std::string>{"one"});
  std::shared_ptr<Exchange> exchange;
  {
    HttpClient other(running.port());
    other.send(HttpClient::request("GET", "/long"));
    exchange = given.get_future().get();
    other.read_head();
    CHECK(other.read_chunk() == "data: one\n\n");
    exchange->event("two");
    CHECK(other.read_chunk() == "data: two\n\n");
  }
  CHECK(gone.get_future().wait_for(5s) == std::future_status::ready);
  exchange->event("nobody hears this");
}

TEST_CASE("a client that does not read is given up, at the bound or at the deadline") {
  HttpOptions options = quick();
  options.unread_bytes = 1 << 16;
  options.write_time = 300ms;
  std::promise<void> gone[2];
  std::atomic<int> requests = 0;
  Running running(options, [&](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
    exchange->on_gone([&gone, index = requests++] { gone[index].set_value(); });
    exchange->stream();
    if (request.path == "/bound")
      for (int i = 0; i < 1000; ++i) exchange->event(std::string(1 << 14, 'x'));
    else exchange->reply({200, "text/plain", std::string(32 << 20, 'x'), {}});
  });
  HttpClient bound(running.port()), deadline(running.port());
  bound.send(HttpClient::request("GET", "/bound"));
  CHECK(gone[0].get_future().wait_for(5s) == std::future_status::ready);
  deadline.send(HttpClient::request("GET", "/deadline"));
  CHECK(gone[1].get_future().wait_for(5s) == std::future_status::ready);
}

TEST_CASE("slow heads, idle connections and too many of them are turned away") {
  HttpOptions options = quick();
  options.head_time = options.idle_time = 200ms;
  options.connections = 3;
  Running running(options, echo);
  HttpClient idle(running.port()), slow(running.port()), third(running.port());
  slow.send("GET / HT");
  HttpClient fourth(running.port());
  CHECK(fourth.read().status == 503);
  CHECK(idle.closed_within(5s));
  CHECK(slow.closed_within(5s));
  HttpClient again(running.port());
  CHECK(again.get("/").status == 200);
}

TEST_CASE("what a handler throws is the answer, and what it answers later counts once") {
  Running running(quick(), [](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
    if (request.path == "/throws") throw tools::invalid("field", "no good");
    exchange->reply({200, "text/plain", "first", {}});
    exchange->reply({200, "text/plain", "second", {}});
    exchange->event("third");
  });
  HttpClient client(running.port());
  CHECK(client.get("/throws").status == 400);
  CHECK(client.get("/").body == "first");
  CHECK(client.get("/").body == "first");
}

TEST_CASE("an end lets answers under way finish, and takes no new connections") {
  auto running = std::make_unique<Running>(quick(), [](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    exchange->stream();
    exchange->event("begun");
    std::thread([exchange] {
      std::promise<void>().get_future().wait_for(100ms);
      exchange->event("finished");
      exchange->end();
    }).detach();
  });
  HttpClient client(running->port());
  client.send(HttpClient::request("GET", "/"));
  client.read_head();
  CHECK(client.read_chunk() == "data: begun\n\n");
  const std::uint16_t port = running->port();
  running->server.stop();
  CHECK(client.read_chunk() == "data: finished\n\n");
  CHECK(client.read_chunk().empty());
  running.reset();
  CHECK_THROWS_AS(HttpClient again(port), core::Error);
}

TEST_CASE("addresses are a host and a port") {
  HttpOptions options;
  tools::parse_address("0.0.0.0:81", "--http", options);
  CHECK(options.host == "0.0.0.0");
  CHECK(options.port == 81);
  tools::parse_address("[::1]:82", "--http", options);
  CHECK(options.host == "::1");
  tools::parse_address(":83", "--http", options);
  CHECK(options.host == "::1");
  CHECK(options.port == 83);
  CHECK_THROWS_AS(tools::parse_address("host:99999", "--http", options), core::Error);
  CHECK_THROWS_AS(tools::parse_address("host", "--http", options), core::Error);
}

}  // namespace
}  // namespace starling::tests
