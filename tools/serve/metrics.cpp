#include "tools/serve/metrics.h"

#include <algorithm>

#include <fmt/format.h>

namespace starling::tools {
namespace {

/// A label's value: \, " and line ends are escaped.
std::string escaped(const std::string& value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}

std::string head(const char* name, const char* type, const char* help) {
  return fmt::format("# HELP starling_{0} {2}\n# TYPE starling_{0} {1}\n", name, type, help);
}

template <class Value>
std::string single(const char* name, const char* type, const char* help, const std::string& labels, Value value) {
  return head(name, type, help) + fmt::format("starling_{}{{{}}} {}\n", name, labels, value);
}

std::vector<double> seconds() { return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}; }

}  // namespace

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::add(double value) {
  for (std::size_t i = 0; i < bounds_.size(); ++i) counts_[i] += value <= bounds_[i];
  ++counts_.back();
  sum_ += value;
}

std::string Histogram::text(const std::string& name, const std::string& labels) const {
  std::string out;
  for (std::size_t i = 0; i < bounds_.size(); ++i)
    out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bounds_[i], counts_[i]);
  out += fmt::format("{}_bucket{{{},le=\"+Inf\"}} {}\n", name, labels, counts_.back());
  return out + fmt::format("{0}_sum{{{1}}} {2}\n{0}_count{{{1}}} {3}\n", name, labels, sum_, counts_.back());
}

Metrics::Metrics(std::string model)
    : labels_(fmt::format("model=\"{}\"", escaped(model))), first_(seconds()), between_(seconds()), queue_(seconds()), whole_(seconds()) {}

void Metrics::prompt_tokens(std::int64_t tokens, std::int64_t cached) {
  const std::lock_guard lock(mutex_);
  prompt_ += static_cast<std::uint64_t>(tokens);
  cached_ += static_cast<std::uint64_t>(cached);
}

void Metrics::generated_token() {
  const std::lock_guard lock(mutex_);
  ++generated_;
}

void Metrics::first_token(double value) {
  const std::lock_guard lock(mutex_);
  first_.add(value);
}

void Metrics::next_token(double value) {
  const std::lock_guard lock(mutex_);
  between_.add(value);
}

void Metrics::queued(double value) {
  const std::lock_guard lock(mutex_);
  queue_.add(value);
}

void Metrics::finished(const std::string& reason, double value) {
  const std::lock_guard lock(mutex_);
  ++finished_[reason];
  whole_.add(value);
}

void Metrics::answered(const std::string& endpoint, int status) {
  const std::lock_guard lock(mutex_);
  ++answered_[{endpoint, status}];
}

std::int64_t Metrics::generated() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::int64_t>(generated_);
}

std::string Metrics::text(const MetricGauges& gauges) const {
  const std::lock_guard lock(mutex_);
  std::string out;
  out += single("prompt_tokens_total", "counter", "Tokens of prompts.", labels_, prompt_);
  out += single("prompt_tokens_cached_total", "counter", "Those of them that were in the cache already.", labels_, cached_);
  out += single("generation_tokens_total", "counter", "Tokens written.", labels_, generated_);
  out += single("num_requests_running", "gauge", "Sequences being computed.", labels_, gauges.running);
  out += single("num_requests_waiting", "gauge", "Sequences in the queue.", labels_, gauges.waiting);
  out += single("kv_cache_positions", "gauge", "Positions of the cache in use.", labels_, gauges.kv_positions);
  out += single("kv_cache_positions_max", "gauge", "Positions of the cache.", labels_, gauges.kv_positions_max);
  const auto histogram = [&](const char* name, const char* help, const Histogram& values) {
    out += head(name, "histogram", help) + values.text(std::string("starling_") + name, labels_);
  };
  histogram("time_to_first_token_seconds", "From a request's arrival to its first token.", first_);
  histogram("time_per_output_token_seconds", "Between two tokens of one sequence.", between_);
  histogram("request_queue_time_seconds", "From a request's arrival to its first computation.", queue_);
  histogram("e2e_request_latency_seconds", "From a request's arrival to its last token.", whole_);
  out += head("request_success_total", "counter", "Sequences that ended, by how.");
  for (const auto& [reason, count] : finished_)
    out += fmt::format("starling_request_success_total{{{},finished_reason=\"{}\"}} {}\n", labels_, reason, count);
  out += head("http_requests_total", "counter", "Answers, by endpoint and status.");
  for (const auto& [key, count] : answered_)
    out += fmt::format("starling_http_requests_total{{{},endpoint=\"{}\",status=\"{}\"}} {}\n", labels_, escaped(key.first), key.second, count);
  out += head("node_memory_bytes", "gauge", "What each node holds of the model.");
  for (const MetricGauges::Node& node : gauges.nodes) {
    const std::string labels = fmt::format("{},node=\"{}\"", labels_, escaped(node.name));
    out += fmt::format("starling_node_memory_bytes{{{},kind=\"weights\"}} {}\n", labels, node.weight_bytes);
    out += fmt::format("starling_node_memory_bytes{{{},kind=\"kv\"}} {}\n", labels, node.kv_bytes);
  }
  return out + single("process_resident_memory_bytes", "gauge", "Memory of the serving process.", labels_, gauges.resident_bytes);
}

}  // namespace starling::tools
