// Data whose examples belong to somebody: dealing every owner's examples into training and testing, and the scale of
// what was measured. Draws are fixed, so that a set is the same in every experiment.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/data/dataset.h"

namespace starling::core {

/// One of five examples of every owner, rounded down, drawn at random: true where it is for testing.
std::vector<bool> draw_tests(std::span<const std::int32_t> owners);

/// A fixed random order, cut to `max` unless that is 0: the first ones are then a fair sample of all owners.
void shuffle_and_cut(std::vector<std::uint32_t>& members, std::int64_t max);

/// Fills train, owners and test of `to`: training examples shuffled and cut, test examples in the order of `all`.
void deal(Dataset& to, const Examples& all, std::span<const std::int32_t> owners, const std::vector<bool>& testing, std::int64_t train_max);

/// Makes mean 0 and deviation 1, as measured on the training examples, of each `run` consecutive values of an example.
/// NaN stands for a value that is missing: it is not measured and becomes the mean. What never varies becomes 0.
void standardise(Dataset& data, std::int64_t run);

}  // namespace starling::core
