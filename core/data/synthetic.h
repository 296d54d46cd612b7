// Data without storage: a client's examples are a function of its number, in the manner of FedProx's synthetic(alpha,
// beta) (Li et al. 2020). The label of x is the largest of W x + b. All clients share one hidden teacher W, b of normal
// numbers; client k's own is W + sqrt(alpha) a d', b + sqrt(alpha) e, and its x has mean sqrt(beta) v, with normal a, d, e
// and v of its own: alpha = beta = 0 is IID. Feature j counts from 1 and has deviation j^-0.6, its share of the mean too.
// Unlike there, W is shared (there all of it is drawn anew for every client) and "normal" is the sum of four random bytes
// made mean 0 and deviation 1: whole numbers, so the same bits on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace starling::core {

struct Examples;

struct SyntheticOptions {
  Shape input{64};                   // of one example: {features} or {channels, height, width}
  std::int64_t classes = 10;
  std::int64_t examples = 20;        // of every client
  std::int64_t test_examples = 2000;
  double alpha = 0.5, beta = 0.5;    // how far clients differ: in their teachers, in their features
  std::uint64_t seed = 1;
};

class Synthetic {
 public:
  /// Kind::usage for impossible values.
  explicit Synthetic(const SyntheticOptions& options);

  /// The examples of one client instead of what `to` held; its memory is used again. Any number below 2^63 is a client.
  /// About 5 us for 20 examples of 64 features, 55 us for 20 images of 28x28. Threads may share a Synthetic.
  void fill(std::uint64_t client, Examples& to) const;
  /// Examples of clients that nobody trains with: as many of each as the others have, in all `test_examples`.
  Examples test() const;

  const SyntheticOptions& options() const { return options_; }

 private:
  void add(std::uint64_t client, std::int64_t count, Examples& to) const;

  SyntheticOptions options_;
  std::size_t features_, groups_;
  std::vector<float> teacher_;  // [group][feature][lane]: classes in groups of lanes, zeros beyond the last
  std::vector<float> bias_;     // [group][lane]
  std::vector<float> scale_;    // [feature]
};

}  // namespace starling::core
