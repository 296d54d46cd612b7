#include "tools/serve/served.h"

#include "tools/serve/openai_reply.h"
#include "tools/serve/resident.h"

namespace starling::tools {
namespace {

constexpr const char* kEncoderNode = "master";  // as the process is called that has a cluster

Json decoder_state(const ServedModel& model, const Metrics& metrics) {
  const partition::EngineStatus status = model.engine().status();
  const partition::Plan& plan = model.engine().plan();
  Json nodes = Json::array();
  for (std::size_t i = 0; i < plan.ranks.size(); ++i) {
    const partition::RankPlan& rank = plan.ranks[i];
    Json node{{"name", rank.name}, {"share", rank.share}, {"weight_bytes", rank.weight_bytes}, {"kv_bytes", rank.kv_bytes}};
    if (i < model.nodes().size()) {
      node["threads"] = model.nodes()[i].threads;
      node["memory_bytes"] = model.nodes()[i].memory_bytes;
    }
    nodes.push_back(std::move(node));
  }
  return {{"model", model.name()},
          {"partition", plan.partition},
          {"context", plan.positions},
          {"running", status.running},
          {"waiting", status.waiting},
          {"sequences", status.sequences},
          {"positions_used", status.positions_used},
          {"positions", status.positions},
          {"prompt_tokens", status.prompt_tokens},
          {"reused_tokens", status.reused_tokens},
          {"generated_tokens", metrics.generated()},
          {"steps", status.steps},
          {"step_seconds", status.step_seconds},
          {"wait_seconds", status.wait_seconds},
          {"failure", status.failure},
          {"nodes", std::move(nodes)}};
}

/// The same of an encoder that is alone.
Json encoder_state(const ServedEncoder& encoder) {
  const EncoderStatus status = encoder.status();
  return {{"model", encoder.name()},
          {"partition", "encoder"},
          {"context", encoder.config().context},
          {"running", status.running},
          {"waiting", status.waiting},
          {"sequences", 1},
          {"positions_used", 0},
          {"positions", 0},
          {"prompt_tokens", status.tokens},
          {"reused_tokens", 0},
          {"generated_tokens", 0},
          {"steps", status.texts},
          {"step_seconds", status.seconds},
          {"wait_seconds", 0},
          {"failure", ""},
          {"nodes", Json::array({{{"name", kEncoderNode}, {"share", 1}, {"weight_bytes", encoder.weight_bytes()}, {"kv_bytes", 0}, {"threads", encoder.threads()}}})}};
}

}  // namespace

Json cluster_state(const Served& served) { return served.model ? decoder_state(*served.model, *served.metrics) : encoder_state(*served.encoder); }

MetricGauges gauges(const Served& served) {
  MetricGauges gauges;
  gauges.resident_bytes = resident_bytes();
  if (served.model) {
    const partition::EngineStatus status = served.model->engine().status();
    gauges.running = status.running;
    gauges.waiting = status.waiting;
    gauges.kv_positions = status.positions_used;
    gauges.kv_positions_max = status.positions;
    for (const partition::RankPlan& rank : served.model->engine().plan().ranks) gauges.nodes.push_back({rank.name, rank.weight_bytes, rank.kv_bytes});
  }
  if (served.encoder) {
    const EncoderStatus status = served.encoder->status();
    gauges.running += status.running;
    gauges.waiting += status.waiting;
    if (gauges.nodes.empty()) gauges.nodes.push_back({kEncoderNode, 0, 0});
    gauges.nodes.front().weight_bytes += served.encoder->weight_bytes();
  }
  return gauges;
}

std::vector<Json> model_entries(const Served& served) {
  std::vector<Json> entries;
  if (served.model) entries.push_back(model_entry(served.model->name(), served.model->created()));
  if (served.encoder) entries.push_back(model_entry(served.encoder->name(), served.encoder->created()));
  return entries;
}

}  // namespace starling::tools
