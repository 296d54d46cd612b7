// Rules that replace the mean of updates where some may be hostile: coordinate median and trimmed mean (Yin et al. 2018),
// Krum and Multi-Krum (Blanchard et al. 2017), Bulyan (El Mhamdi et al. 2018). Pure functions of a set of updates; the
// caller sorts them by client id, which also breaks ties, so that arrival order changes nothing.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace starling::federated {

/// Updates of equal length.
using Updates = std::span<const std::span<const float>>;

/// Per coordinate; for an even number the mean of the middle two.
std::vector<float> median(Updates updates);
/// Per coordinate the mean without the floor(share * m) smallest and as many largest. Kind::refused when nothing is
/// left.
std::vector<float> trimmed_mean(Updates updates, double share);

/// Sum of the squared distances to the max(1, m - f - 2) nearest others, for every update.
std::vector<double> krum_scores(Updates updates, std::size_t f);
/// The `count` updates of least score, best first.
std::vector<std::size_t> krum_select(Updates updates, std::size_t f, std::size_t count);

enum class BulyanSelection { iterative, oneshot };
/// Kind::refused for fewer than 4 f + 3 updates.
std::vector<float> bulyan(Updates updates, std::size_t f, BulyanSelection selection);

/// Squared Euclidean distances {m, m}, summed in double.
std::vector<double> squared_distances(Updates updates);

}  // namespace starling::federated
