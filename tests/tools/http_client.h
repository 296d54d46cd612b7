// A small HTTP client for tests, on plain sockets, so that it can also be slow, rude or wrong.
#pragma once

#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tools/sockets.h"

namespace starling::tests {

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in small letters
  std::string body;                            // of chunks: joined
  /// The data of each server-sent event.
  std::vector<std::string> events() const {
    std::vector<std::string> found;
    for (std::size_t at = 0; at < body.size();) {
      const std::size_t end = body.find("\n\n", at);
      REQUIRE(end != std::string::npos);
      const std::string event = body.substr(at, end - at);
      if (event.rfind("data: ", 0) == 0) found.push_back(event.substr(6));
      at = end + 2;
    }
    return found;
  }
};

class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port, std::chrono::seconds patience = std::chrono::seconds(60))
      : patience_(patience), socket_(tools::connect_to("127.0.0.1", port, deadline())) {}

  void send(const std::string& bytes) { tools::write_all(socket_, std::as_bytes(std::span(bytes)), deadline()); }

  static std::string request(const std::string& method, const std::string& path, const std::string& body = "",
                             const std::string& headers = "") {
    return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
           (body.empty() && method == "GET" ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" + body;
  }

  HttpAnswer ask(const std::string& method, const std::string& path, const std::string& body = "", const std::string& headers = "") {
    send(request(method, path, body, headers));
    return read();
  }
  HttpAnswer get(const std::string& path) { return ask("GET", path); }
  HttpAnswer post(const std::string& path, const std::string& body) { return ask("POST", path, body, "Content-Type: application/json\r\n"); }

  HttpAnswer read() {
    HttpAnswer answer = read_head();
    if (answer.headers.count("transfer-encoding") == 0) {
      const std::size_t length = std::stoul(answer.headers.at("content-length"));
      while (kept_.size() < length) more();
      answer.body = kept_.substr(0, length);
      kept_.erase(0, length);
      return answer;
    }
    for (std::string chunk = read_chunk(); !chunk.empty(); chunk = read_chunk()) answer.body += chunk;
    return answer;
  }

  HttpAnswer read_head() {
    std::size_t end;
    while ((end = kept_.find("\r\n\r\n")) == std::string::npos) more();
    const std::string head = kept_.substr(0, end + 2);
    kept_.erase(0, end + 4);
    HttpAnswer answer;
    REQUIRE(head.rfind("HTTP/1.1 ", 0) == 0);
    answer.status = std::stoi(head.substr(9, 3));
    if (answer.status == 100) return read_head();
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const std::size_t line = head.find("\r\n", at), colon = head.find(": ", at);
      std::string name = head.substr(at, colon - at);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      answer.headers[name] = head.substr(colon + 2, line - colon - 2);
      at = line + 2;
    }
    return answer;
  }

  /// The data of one chunk; empty: the last.
  std::string read_chunk() {
    std::size_t line;
    while ((line = kept_.find("\r\n")) == std::string::npos) more();
    const std::size_t size = std::stoul(kept_.substr(0, line), nullptr, 16);
    while (kept_.size() < line + 2 + size + 2) more();
    std::string data = kept_.substr(line + 2, size);
    kept_.erase(0, line + 2 + size + 2);
    return data;
  }

  /// What comes before the server closes the connection.
  std::string rest() {
    try {
      while (true) more();
    } catch (const core::Error& error) {
      REQUIRE(error.kind() == core::Kind::unreachable);
    }
    return std::exchange(kept_, "");
  }

  /// The server has closed the connection, after at most the bytes that are kept already.
  bool closed_within(std::chrono::milliseconds time) {
    std::byte bytes[4096];
    const auto end = std::chrono::steady_clock::now() + time;
    try {
      while (true) tools::read_some(socket_, bytes, end);
    } catch (const core::Error& error) {
      return error.kind() == core::Kind::unreachable;
    }
  }

 private:
  tools::Deadline deadline() const { return std::chrono::steady_clock::now() + patience_; }
  void more() {
    std::byte bytes[16384];
    const std::size_t n = tools::read_some(socket_, bytes, deadline());
    kept_.append(reinterpret_cast<const char*>(bytes), n);
  }

  std::chrono::seconds patience_;
  tools::Descriptor socket_;
  std::string kept_;
};

}  // namespace starling::tests
