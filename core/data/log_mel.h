// Sound as a picture: the logarithm of the energy in bands of equal width on the mel scale (Stevens, Volkmann, Newman
// 1937; 2595 log10(1 + f / 700)), frame after frame.
#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace starling::core {

struct LogMelOptions {
  std::int64_t rate = 8000;   // samples in a second; bands cover 0 to half of it
  std::int64_t window = 512;  // samples of a frame, under a Hann window; a power of two
  std::int64_t hop = 256;     // samples from one frame to the next
  std::int64_t frames = 32;
  std::int64_t bands = 32;    // overlapping triangles
};

class LogMel {
 public:
  /// Kind::usage for impossible options.
  explicit LogMel(const LogMelOptions& options);

  /// Samples that all frames together cover.
  std::int64_t length() const { return options_.hop * (options_.frames - 1) + options_.window; }
  /// {bands, frames} of log(1e-5 + energy). Later samples are left out, missing ones count as silence.
  std::vector<float> operator()(std::span<const float> samples) const;

 private:
  /// Fourier transform in place, radix 2.
  void transform(std::vector<std::complex<double>>& values) const;

  LogMelOptions options_;
  std::vector<double> hann_;
  std::vector<std::complex<double>> roots_;  // exp(-2 pi i k / window)
  std::vector<std::size_t> reversed_;
  std::vector<std::vector<double>> filters_;  // [band][frequency]
};

}  // namespace starling::core
