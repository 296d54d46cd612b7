// The server's endpoints: which request gets which answer. Lives on the HTTP server's thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tools/serve/admission.h"
#include "tools/serve/http.h"
#include "tools/serve/json_fields.h"
#include "tools/serve/metrics.h"
#include "tools/serve/openai_request.h"
#include "tools/serve/served_model.h"

namespace starling::tools {

class Api {
 public:
  explicit Api(Admission admission) : admission_(std::move(admission)) {}

  /// Until a model is there, whoever asks for one hears that it is loading.
  void set_model(ServedModel* model, Metrics* metrics);
  /// No new work; what runs is finished.
  void stop() { stopping_ = true; }

  void handle(HttpRequest request, std::shared_ptr<Exchange> exchange);

 private:
  void route(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange);
  bool route_page(const HttpRequest& request, Exchange& exchange) const;
  void post(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange);
  void complete(const CompletionRequest& request, const std::shared_ptr<Exchange>& exchange);
  void chat(const ChatRequest& request, const std::shared_ptr<Exchange>& exchange);
  void embed(const EmbeddingRequest& request, const std::shared_ptr<Exchange>& exchange);
  void check_model(const std::string& name) const;
  /// ApiError 503 while there is none, or after it was lost.
  ServedModel& model() const;

  Admission admission_;
  ServedModel* model_ = nullptr;
  Metrics* metrics_ = nullptr;
  bool stopping_ = false;
};

/// What /cluster tells: the nodes, what they hold, and what the engine does.
Json cluster_state(const ServedModel& model, const Metrics& metrics);

}  // namespace starling::tools
