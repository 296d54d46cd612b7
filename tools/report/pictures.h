// Two pictures as inline SVG: who took part in every round, and which labels every client holds.
#pragma once

#include <string>

#include "tools/report/distribution.h"
#include "tools/report/run_folder.h"

namespace starling::tools {

/// Stacked bars, one an evaluated round (of very many rounds the mean of neighbours): clients used, dropped, refused. All
/// runs of a page share `rounds_max` and `clients_max`, so that their bars can be compared.
std::string participation_chart(const RunFolder& run, std::int64_t rounds_max, std::int64_t clients_max, double width);

/// Above the size of every client, below the labels by clients, darker for a larger share of the client's examples.
std::string distribution_chart(const Distribution& distribution);
/// How dark a share is drawn: 0 to 1.
double opacity(double share);

}  // namespace starling::tools
