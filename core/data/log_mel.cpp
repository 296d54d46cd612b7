#include "core/data/log_mel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace starling::core {
namespace {

double mel_of(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double hertz_of(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

}  // namespace

LogMel::LogMel(const LogMelOptions& options) : options_(options) {
  const LogMelOptions& o = options_;
  constexpr std::int64_t kMost = 1 << 16;
  const auto within = [](std::int64_t v) { return v > 0 && v <= kMost; };
  check(within(o.rate) && within(o.window) && within(o.hop) && within(o.frames) && within(o.bands) && std::has_single_bit(static_cast<std::uint64_t>(o.window)),
        Kind::usage, "log-mel: rate {}, window {}, hop {}, {} frames, {} bands", o.rate, o.window, o.hop, o.frames, o.bands);
  const auto size = static_cast<std::size_t>(o.window), half = size / 2;
  for (std::size_t k = 0; k < size; ++k) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(size);
    hann_.push_back(0.5 - 0.5 * std::cos(angle));
    roots_.push_back(std::polar(1.0, -angle));
    reversed_.push_back(k == 0 ? 0 : reversed_[k / 2] / 2 + (k % 2) * half);
  }
  const double step = mel_of(static_cast<double>(o.rate) / 2) / static_cast<double>(o.bands + 1);
  for (std::int64_t band = 0; band < o.bands; ++band) {
    const double low = hertz_of(step * static_cast<double>(band)), middle = hertz_of(step * static_cast<double>(band + 1));
    const double high = hertz_of(step * static_cast<double>(band + 2));
    std::vector<double> filter;
    for (std::size_t k = 0; k <= half; ++k) {
      const double f = static_cast<double>(k) * static_cast<double>(o.rate) / static_cast<double>(size);
      filter.push_back(std::max(0.0, std::min((f - low) / (middle - low), (high - f) / (high - middle))));
    }
    filters_.push_back(std::move(filter));
  }
}

void LogMel::transform(std::vector<std::complex<double>>& values) const {
  for (std::size_t k = 0; k < values.size(); ++k)
    if (k < reversed_[k]) std::swap(values[k], values[reversed_[k]]);
  for (std::size_t half = 1; half < values.size(); half *= 2)
    for (std::size_t begin = 0; begin < values.size(); begin += 2 * half)
      for (std::size_t k = 0; k < half; ++k) {
        const std::complex<double> even = values[begin + k], w = roots_[k * (values.size() / (2 * half))], v = values[begin + half + k];
        const std::complex<double> odd(w.real() * v.real() - w.imag() * v.imag(), w.real() * v.imag() + w.imag() * v.real());
        values[begin + k] = even + odd;
        values[begin + half + k] = even - odd;
      }
}

std::vector<float> LogMel::operator()(std::span<const float> samples) const {
  constexpr double kFloor = 1e-5;
  const auto frames = static_cast<std::size_t>(options_.frames), hop = static_cast<std::size_t>(options_.hop);
  std::vector<float> picture(filters_.size() * frames);
  std::vector<std::complex<double>> values(hann_.size());
  std::vector<double> energy(hann_.size() / 2 + 1);
  for (std::size_t frame = 0; frame < frames; ++frame) {
    for (std::size_t k = 0; k < values.size(); ++k) {
      const std::size_t at = frame * hop + k;
      values[k] = at < samples.size() ? hann_[k] * static_cast<double>(samples[at]) : 0.0;
    }
    transform(values);
    for (std::size_t k = 0; k < energy.size(); ++k) energy[k] = std::norm(values[k]);
    for (std::size_t band = 0; band < filters_.size(); ++band) {
      double sum = kFloor;
      for (std::size_t k = 0; k < energy.size(); ++k) sum += filters_[band][k] * energy[k];
      picture[band * frames + frame] = static_cast<float>(std::log(sum));
    }
  }
  return picture;
}

}  // namespace starling::core
