// Hostile clients for experiments: what some of the clients send in place of their honest updates. Sign flips, noise and
// label flips as Blanchard et al. 2017 test with; a little is enough (ALIE, Baruch, Baruch, Goldberg 2019); inner product
// manipulation (IPM, Xie, Koyejo, Gupta 2019). Pure functions: the same bits for any order of the clients.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/partition.h"
#include "federated/local_training.h"
#include "federated/server.h"

namespace starling::federated {

struct AttackOptions {
  std::string kind = "none";  // one of attack_kinds()
  double clients = 0;         // how many are hostile; below 1: which share of all
  double scale = 0;           // of the kind; 0: its own
  double inflation = 1;       // hostile clients claim so many times their examples, with any kind
  std::uint64_t seed = 1;
};

/// What the attackers know of a round: the models that its honest clients would send, or those that their own would, as
/// Baruch et al. have it.
struct Seen {
  std::span<const std::span<const float>> models;
  std::int64_t clients = 0, hostile = 0;  // replies of the round, and how many of them are the attackers'
};

class Attack {
 public:
  /// Of `clients` in all. Kind::usage for an unknown kind or a value out of range.
  Attack(const AttackOptions& options, std::int64_t clients);

  bool hostile(std::int64_t client) const;
  /// Ascending.
  const std::vector<std::int64_t>& hostile_clients() const { return hostile_; }
  /// Whether apply() needs `seen`: gauss, alie and ipm.
  bool needs_seen() const;

  /// Before training: label flip makes y to classes - 1 - y in the examples of hostile clients. Nobody else may hold them.
  void poison(const core::Partition& parts, std::int64_t classes, Examples& train) const;
  /// After local training from `start`: changes the model and the examples that a hostile client sends, and nothing of what
  /// an honest one does. What the client keeps, and its control variate, stay as they are.
  void apply(std::int64_t client, std::int64_t round, std::span<const float> start, LocalResult& result, const Seen& seen = {}) const;
  /// The same to a reply on its way.
  void apply(std::int64_t round, std::span<const float> start, TaskReply& reply, const Seen& seen = {}) const;

 private:
  void change(std::int64_t client, std::int64_t round, std::span<const float> start, std::vector<float>& y, const Seen& seen) const;

  AttackOptions options_;
  std::vector<std::int64_t> hostile_;
};

/// With x the model that the round began with, y the one that local training made, d = y - x, and s = scale (its default):
/// none y. sign-flip x - s d (1). scaled x + s d (10). gauss x + N(0, (s std)^2), std that of the models seen, by value (10).
/// same-value x + s (1). zero x, a free rider. label-flip y, trained on turned labels. alie mean - s std of the models seen,
/// by value (the largest s that honest updates hide, from clients and hostile of the round, 0 to 3). ipm x - s mean(d) of
/// the models seen (0.5); these three send y where no honest client has trained. nan: y with a value that is none. shape: y without its last value.
std::vector<std::string_view> attack_kinds();

/// How many standard deviations from the mean ALIE may go: the normal quantile of (m - floor(m / 2 + 1)) / (m - f), within
/// 0 to 3. Kind::usage unless 0 < f < m.
double alie_deviations(std::int64_t m, std::int64_t f);

}  // namespace starling::federated
