#include "tools/serve/load.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <memory>

#include <poll.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tools/sockets.h"

namespace starling::tools {
namespace {

using Clock = std::chrono::steady_clock;
using core::check;
using core::Kind;

constexpr std::chrono::seconds kPatience{60};

float float_seconds(Clock::duration time) { return std::chrono::duration<float>(time).count(); }

double cpu_seconds() {
  timespec time;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// What the answers to a prompt must be: tokens do not depend on what else the server computes.
using Expected = std::map<std::size_t, std::string>;

class Stream {
 public:
  Stream(const LoadOptions& options, LoadResult& result, Expected& expected) : options_(options), result_(result), expected_(expected) { connect(); }

  int socket() const { return socket_.get(); }
  bool busy() const { return busy_; }

  void ask(std::size_t prompt) {
    prompt_ = prompt;
    const nlohmann::json body{{"prompt", options_.prompts[prompt]}, {"max_tokens", options_.tokens}, {"temperature", 0}, {"stream", true},
                              {"stream_options", {{"include_usage", true}}}, {"logit_bias", nlohmann::json::object()}};
    const std::string text = body.dump();
    const std::string authorization = options_.key.empty() ? "" : "Authorization: Bearer " + options_.key + "\r\n";
    const std::string request = fmt::format("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{}",
                                            authorization, text.size(), text);
    busy_ = true;
    text_.clear();
    seen_ = 0;
    usage_ = -1;
    error_.clear();
    start_ = last_ = Clock::now();
    write_all(socket_, std::as_bytes(std::span(request)), start_ + kPatience);
  }

  /// Reads what is there.
  void read() {
    char buffer[16384];
    const ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0) return;
    if (n == 0) {
      fail("the server closed the connection");
      return connect();
    }
    kept_.append(buffer, static_cast<std::size_t>(n));
    parse();
  }

 private:
  void connect() {
    socket_ = connect_to(options_.host, options_.port, Clock::now() + kPatience);
    kept_.clear();
    in_body_ = false;
  }

  void fail(const std::string& why) {
    ++result_.errors;
    if (result_.first_error.empty()) result_.first_error = why;
    busy_ = false;
  }

  void parse() {
    if (!in_body_) {
      const std::size_t end = kept_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      if (!kept_.starts_with("HTTP/1.1 200")) {
        fail(kept_.substr(0, 400));
        return connect();
      }
      kept_.erase(0, end + 4);
      in_body_ = true;
    }
    std::size_t at = 0;
    while (true) {
      const std::size_t line = kept_.find("\r\n", at);
      if (line == std::string::npos) break;
      const std::size_t size = std::stoul(kept_.substr(at, line - at), nullptr, 16);
      if (kept_.size() < line + 2 + size + 2) break;
      const std::string_view data = std::string_view(kept_).substr(line + 2, size);
      at = line + 2 + size + 2;
      if (size == 0) {
        in_body_ = false;
        finish();
        break;
      }
      if (data.starts_with("data: {")) event(data.substr(6));
    }
    kept_.erase(0, at);
  }

  void event(std::string_view data) {
    const nlohmann::json json = nlohmann::json::parse(data);
    if (json.contains("error")) error_ = json["error"].dump();
    if (json.contains("usage") && json["usage"].is_object()) usage_ = json["usage"]["completion_tokens"].get<std::int64_t>();
    if (!json.contains("choices") || json["choices"].empty()) return;
    const std::string piece = json["choices"][0]["text"];
    if (piece.empty()) return;
    const auto now = Clock::now();
    if (seen_++ == 0) result_.first_token.push_back(float_seconds(now - start_));
    else result_.between_tokens.push_back(float_seconds(now - last_));
    last_ = now;
    text_ += piece;
  }

  void finish() {
    if (!error_.empty()) return fail(error_);
    if (usage_ < 0) return fail("an answer without usage");
    const auto [known, fresh] = expected_.emplace(prompt_, text_);
    if (!fresh && known->second != text_) return fail("two answers to one prompt differ");
    ++result_.answers;
    result_.tokens += usage_;
    result_.whole.push_back(float_seconds(Clock::now() - start_));
    busy_ = false;
  }

  const LoadOptions& options_;
  LoadResult& result_;
  Expected& expected_;
  Descriptor socket_;
  std::string kept_, text_, error_;
  bool in_body_ = false, busy_ = false;
  std::size_t prompt_ = 0;
  std::int64_t seen_ = 0, usage_ = -1;
  Clock::time_point start_, last_;
};

}  // namespace

LoadResult run_load(const LoadOptions& options) {
  LoadResult result;
  Expected expected;
  const auto start = Clock::now();
  const double cpu = cpu_seconds();
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < options.streams; ++i) streams.push_back(std::make_unique<Stream>(options, result, expected));
  std::int64_t asked = 0;
  while (result.answers + result.errors < options.requests) {
    std::vector<pollfd> polls;
    for (const auto& stream : streams) {
      if (!stream->busy() && asked < options.requests) stream->ask(static_cast<std::size_t>(asked++) % options.prompts.size());
      polls.push_back({stream->socket(), POLLIN, 0});
    }
    check(::poll(polls.data(), polls.size(), static_cast<int>(std::chrono::milliseconds(kPatience).count())) > 0, Kind::timeout,
          "nothing came from the server for {} s", kPatience.count());
    for (std::size_t i = 0; i < streams.size(); ++i)
      if (polls[i].revents != 0) streams[i]->read();
    if (options.progress) options.progress(result.answers);
  }
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.cpu_seconds = cpu_seconds() - cpu;
  for (auto* values : {&result.first_token, &result.between_tokens, &result.whole}) std::sort(values->begin(), values->end());
  return result;
}

double quantile(const std::vector<float>& values, double part) {
  if (values.empty()) return 0;
  return values[std::min(values.size() - 1, static_cast<std::size_t>(part * static_cast<double>(values.size())))];
}

}  // namespace starling::tools
