// What a server has: a decoder over a cluster, an encoder beside it or alone, and its counters; and what it tells of them.
#pragma once

#include "tools/serve/json_fields.h"
#include "tools/serve/metrics.h"
#include "tools/serve/served_encoder.h"
#include "tools/serve/served_model.h"

namespace starling::tools {

/// At least one of the two models, once they are loaded.
struct Served {
  ServedModel* model = nullptr;
  ServedEncoder* encoder = nullptr;
  Metrics* metrics = nullptr;
};

/// What /cluster tells: the nodes, what they hold, and what is being computed.
Json cluster_state(const Served& served);
MetricGauges gauges(const Served& served);
/// The entries of /v1/models.
std::vector<Json> model_entries(const Served& served);

}  // namespace starling::tools
