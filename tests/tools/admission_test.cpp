#include "tools/serve/admission.h"

#include <doctest/doctest.h>

#include "tools/serve/api_error.h"
#include "tools/serve/metrics.h"

namespace starling::tests {
namespace {

/// 0: admitted; otherwise the status.
int status(const tools::Admission& admission, const tools::HttpRequest& request) {
  try {
    tools::admit(admission, request);
    return 0;
  } catch (const tools::ApiError& error) {
    return error.status();
  }
}

tools::HttpRequest from(const std::string& host, const std::string& origin = "", const std::string& authorization = "") {
  tools::HttpRequest request;
  request.host = host;
  request.origin = origin;
  request.authorization = authorization;
  return request;
}

TEST_CASE("without a key a server answers this machine's names and its own pages") {
  const tools::Admission open{"", true};
  for (const char* host : {"localhost:8080", "localhost", "127.0.0.1:8080", "[::1]:8080", ""}) CHECK(status(open, from(host)) == 0);
  for (const char* host : {"attacker.example:8080", "127.attacker.example:8080", "localhost.attacker.example"}) CHECK(status(open, from(host)) == 403);
  CHECK(status(open, from("localhost:8080", "http://localhost:8080")) == 0);
  CHECK(status(open, from("localhost:8080", "https://attacker.example")) == 403);
  CHECK(status(open, from("localhost:8080", "null")) == 403);
}

TEST_CASE("with a key only the key counts") {
  const tools::Admission closed{"secret", false};
  CHECK(status(closed, from("any.example", "", "Bearer secret")) == 0);
  for (const char* wrong : {"", "secret", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer secreT", "Basic secret"})
    CHECK(status(closed, from("localhost", "", wrong)) == 401);
  CHECK(tools::equal_in_constant_time("", ""));
  CHECK_FALSE(tools::equal_in_constant_time("a", ""));
}

TEST_CASE("metrics are text that Prometheus reads") {
  tools::Metrics metrics("a \"model\"");
  metrics.prompt_tokens(10, 4);
  metrics.generated_token();
  metrics.first_token(0.02);
  metrics.next_token(0.002);
  metrics.finished("stop", 1.5);
  metrics.answered("/v1/completions", 200);
  tools::MetricGauges gauges;
  gauges.running = 2;
  gauges.nodes = {{"kitchen", 100, 20}};
  const std::string text = metrics.text(gauges);
  const auto has = [&](const std::string& line) { CHECK_MESSAGE(text.find(line + "\n") != std::string::npos, line); };
  has("# TYPE starling_prompt_tokens_total counter");
  has(R"(starling_prompt_tokens_total{model="a \"model\""} 10)");
  has(R"(starling_prompt_tokens_cached_total{model="a \"model\""} 4)");
  has(R"(starling_generation_tokens_total{model="a \"model\""} 1)");
  has(R"(starling_num_requests_running{model="a \"model\""} 2)");
  has(R"(starling_time_to_first_token_seconds_bucket{model="a \"model\"",le="0.01"} 0)");
  has(R"(starling_time_to_first_token_seconds_bucket{model="a \"model\"",le="0.025"} 1)");
  has(R"(starling_time_to_first_token_seconds_bucket{model="a \"model\"",le="+Inf"} 1)");
  has(R"(starling_time_to_first_token_seconds_count{model="a \"model\""} 1)");
  has(R"(starling_e2e_request_latency_seconds_sum{model="a \"model\""} 1.5)");
  has(R"(starling_request_success_total{model="a \"model\"",finished_reason="stop"} 1)");
  has(R"(starling_http_requests_total{model="a \"model\"",endpoint="/v1/completions",status="200"} 1)");
  has(R"(starling_node_memory_bytes{model="a \"model\"",node="kitchen",kind="weights"} 100)");
}

}  // namespace
}  // namespace starling::tests
