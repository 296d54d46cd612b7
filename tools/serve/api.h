// The server's endpoints: which request gets which answer. Lives on the HTTP server's thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tools/serve/admission.h"
#include "tools/serve/generation.h"
#include "tools/serve/http.h"
#include "tools/serve/openai_request.h"
#include "tools/serve/served.h"

namespace starling::tools {

class Api {
 public:
  explicit Api(Admission admission) : admission_(std::move(admission)) {}

  /// Until a model is there, whoever asks for one hears that it is loading.
  void serve(const Served& served) { served_ = served; }
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
  void cancel(const std::string& id, Exchange& exchange);
  /// ApiError unless `name` (empty: any) is the model that writes.
  void check_writer(const std::string& name) const;
  ApiError no_model(const std::string& name) const;
  /// ApiError 503 while there is nothing.
  const Served& served() const;
  /// The model that writes; ApiError 400 when there is an encoder only.
  ServedModel& model() const;
  /// Why the cluster no longer computes; empty while it does.
  std::string failure() const;

  Admission admission_;
  Served served_;
  Generations generations_;
  bool stopping_ = false;
};

}  // namespace starling::tools
