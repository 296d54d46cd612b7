// A strategy: how the server makes one model of what clients send, and what it asks of their local training. A strategy
// sees replies that the guard has let through, in any order, and gives the same bits for any of them. One file and one
// line in strategies/all.def each.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/train/parameters.h"
#include "federated/exchanged.h"

namespace starling::federated {

/// What clients do beside descending on their own loss.
struct LocalWork {
  double proximal = 0;              // mu of (mu / 2) * |y - x|^2 (FedProx)
  bool control_variates = false;    // gradients corrected by c - c_k; c travels down, the change of c_k up (SCAFFOLD)
  bool loss_at_start = false;       // the loss of the model as received is reported (q-FedAvg)
  bool norms_stay_home = false;     // normalisation layers, statistics included, never leave the client (FedBN)
};

/// What a client sends back.
struct Reply {
  std::int64_t client = 0;
  double examples = 0;
  std::int64_t steps = 0;             // local steps taken
  double normaliser = 0;              // |a_k|_1 of FedNova: the weights its optimiser gave its gradients
  double loss_at_start = 0;
  std::int64_t staleness = 0;         // versions since the model it started from (asynchronous rounds)
  std::span<const float> model;       // after local work, the whole layout
  std::span<const float> start;       // the model it started from, where that is not the current one
  std::span<const float> control;     // change of the client's control variate
};

struct StrategyOptions {
  std::string name = "fedavg";
  std::string weights = "examples";   // of a reply in a mean: examples, equal; not of SCAFFOLD, q-FedAvg and FedBuff
  double server_learning_rate = 0;    // 0: the strategy's own default
  double server_momentum = -1;        // -1: the strategy's own default
  double beta1 = -1, beta2 = -1, tau = 1e-3;
  std::string bias_correction = "none";  // of FedAdam: none, adam, flower
  double proximal = 0.01;             // mu
  double q = 0.1;
  double client_learning_rate = 0;    // q-FedAvg and FedNova need it
  double trim = 0.2;
  std::int64_t hostile = 0;           // f
  std::int64_t keep = 0;              // c of Multi-Krum; 0: m - f
  std::string selection = "iterative";  // of Bulyan: iterative, oneshot
  std::int64_t bucket = 1;            // robust rules see the means of so many replies, drawn anew in every round
  std::uint64_t seed = 1;             // of those draws
  std::int64_t buffer = 10;           // of FedBuff
  std::string staleness = "polynomial";  // constant, polynomial, threshold, hinge
  double staleness_a = 0.5, staleness_b = 4;
  std::int64_t clients = 0;           // all there are; SCAFFOLD needs it
};

/// What became of a round.
struct Outcome {
  bool changed = false;               // the model has moved
  std::string why;                    // when it has not
  std::map<std::string, double> metrics;
};

class Strategy {
 public:
  virtual ~Strategy() = default;
  virtual LocalWork local_work() const { return {}; }
  /// What of the model travels; nullptr: all of it.
  virtual std::shared_ptr<const Exchanged> exchanged() const { return nullptr; }
  /// A round begins at `x`; what an unfinished one had gathered is forgotten.
  virtual void begin(std::span<const float> x) = 0;
  /// Kind::malformed when the reply cannot be used; the round goes on as if it had not come.
  virtual void add(const Reply& reply) = 0;
  /// Moves x. An asynchronous strategy is asked after every reply and mostly changes nothing.
  virtual Outcome finish(std::span<float> x) = 0;
  /// c of SCAFFOLD, to send down; empty otherwise.
  virtual std::span<const float> control() const { return {}; }
  /// What a resumed run needs beside the model.
  virtual std::vector<std::pair<std::string, std::vector<float>*>> state() { return {}; }
};

/// Kind::usage for an unknown name or a value out of range. `layout` tells learned values from statistics, which are
/// always averaged plainly.
std::unique_ptr<Strategy> make_strategy(const StrategyOptions& options, std::shared_ptr<const core::ParameterLayout> layout);
std::vector<std::string_view> strategy_names();

}  // namespace starling::federated
