// WAV: RIFF chunks, of which "fmt " and "data" matter here; plain samples of 16 bits, one channel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"

namespace starling::core {

struct Wav {
  std::int64_t rate = 0;       // samples in a second
  std::vector<float> samples;  // -1 to 1
};

/// Kind::malformed naming `source` and field; Kind::unsupported for other codings, sample sizes and numbers of channels.
Wav parse_wav(Bytes file, const std::string& source);

}  // namespace starling::core
