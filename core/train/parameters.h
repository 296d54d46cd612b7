// The parameters of a model as one flat vector with a table of names: what optimisers walk, clients send and servers
// add up.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace starling::core {

/// What a parameter is to training. Normalisation layers are told apart because some strategies keep them at home
/// (FedBN); statistics are measured, not learned: they have no gradient and no optimiser touches them.
enum class Part { weight, norm, statistic };

/// The usual initialisations. fan_in of {outputs, inputs, ...} is the product of all but the first.
struct Initial {
  enum class Kind {
    constant,  // value
    uniform,   // +- value
    normal,    // standard deviation `value`
    fan_in,    // uniform +- 1 / sqrt(fan_in): PyTorch's default of dense and convolution, weights and bias
    he,        // normal, sqrt(2 / fan_in) (He et al. 2015)
    xavier     // uniform +- sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)
  };
  Kind kind = Kind::constant;
  double value = 0;
  std::int64_t fan_in = 0;  // where the shape does not tell, as for a bias
};

struct ParameterEntry {
  std::string name;
  Shape shape;
  Part part = Part::weight;
  Initial initial;
  std::int64_t offset = 0, size = 0;
};

class ParameterLayout {
 public:
  /// The index of the new entry. Kind::internal for a name twice.
  std::size_t add(std::string name, Shape shape, Initial initial, Part part = Part::weight);
  const std::vector<ParameterEntry>& entries() const { return entries_; }
  const ParameterEntry& entry(std::size_t index) const { return entries_.at(index); }
  std::optional<std::size_t> find(std::string_view name) const;
  /// Floats of all entries.
  std::int64_t size() const { return size_; }

 private:
  std::vector<ParameterEntry> entries_;
  std::int64_t size_ = 0;
};

struct Parameters {
  explicit Parameters(std::shared_ptr<const ParameterLayout> l);

  std::span<float> value(std::size_t index) { return slice(values, index); }
  std::span<const float> value(std::size_t index) const;
  std::span<float> gradient(std::size_t index) { return slice(gradients, index); }
  void clear_gradients();

  std::shared_ptr<const ParameterLayout> layout;
  std::vector<float> values, gradients;

 private:
  std::span<float> slice(std::vector<float>& all, std::size_t index) const;
};

/// Every value is a function of seed, entry and place alone.
void initialise(Parameters& parameters, std::uint64_t seed);

}  // namespace starling::core
