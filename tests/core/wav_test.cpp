// Sound: WAV files read exactly or refused by field, and pictures of it that agree with the plain Fourier sum.
#include "core/data/wav.h"

#include <cmath>
#include <complex>
#include <numbers>

#include "core/data/log_mel.h"
#include "tests/said.h"

using namespace starling;
using namespace starling::core;
using tests::contains;
using tests::said;

namespace {

std::string number(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string chunk(const std::string& name, const std::string& bytes) { return name + number(static_cast<std::uint32_t>(bytes.size()), 4) + bytes; }

std::string format(std::uint32_t coding = 1, std::uint32_t channels = 1, std::uint32_t bits = 16, std::uint32_t rate = 8000) {
  return chunk("fmt ", number(coding, 2) + number(channels, 2) + number(rate, 4) + number(rate * 2, 4) + number(2, 2) + number(bits, 2));
}

std::string riff(const std::string& chunks) { return "RIFF" + number(0, 4) + "WAVE" + chunks; }

Wav parse(const std::string& bytes) { return parse_wav(std::as_bytes(std::span(bytes)), "a.wav"); }

}  // namespace

TEST_CASE("a WAV file is read, whatever lies between its chunks") {
  const std::string samples{0, 0, 0, static_cast<char>(0x80), static_cast<char>(0xff), 0x7f};
  const Wav wav = parse(riff(format() + chunk("LIST", "odd") + std::string(1, '\0') + chunk("data", samples)));
  CHECK(wav.rate == 8000);
  CHECK(wav.samples == std::vector<float>{0, -1, 32767.0f / 32768});
}

TEST_CASE("a WAV file is refused at every cut and by every wrong field") {
  const std::string good = riff(format() + chunk("data", "12345678"));
  CHECK(parse(good).samples.size() == 4);
  for (std::size_t n = 0; n < good.size(); ++n) CHECK(contains(said([&] { parse(good.substr(0, n)); }, Kind::malformed), "a.wav"));
  const auto message = [](const std::string& bytes, Kind kind = Kind::malformed) { return said([&] { parse(bytes); }, kind); };
  CHECK(contains(message(riff(format(3, 1, 32) + chunk("data", "1234")), Kind::unsupported), "coding 3, 1 channels, 32 bits"));
  CHECK(contains(message(riff(format(1, 2) + chunk("data", "1234")), Kind::unsupported), "2 channels"));
  CHECK(contains(message(riff(format(1, 1, 16, 0))), "rate"));
  CHECK(contains(message(riff(chunk("data", "1234") + format())), "data at offset 24: comes before the format"));
  CHECK(contains(message(riff(format() + chunk("data", "123"))), "3 bytes are no samples of two"));
  CHECK(contains(message(riff(format() + "data" + number(0xffffffff, 4))), "needs 4294967295 bytes, 0 left"));
  CHECK(contains(message(riff(format())), "data at offset 36: no such chunk"));
  CHECK(contains(message("RIFX" + good.substr(4)), "magic"));
}

TEST_CASE("log-mel is the logarithm of band energies of the plain Fourier sum") {
  const LogMelOptions options{.rate = 8000, .window = 64, .hop = 40, .frames = 3, .bands = 5};
  std::vector<float> samples;
  for (int i = 0; i < 130; ++i) samples.push_back(static_cast<float>(std::sin(0.3 * i) + 0.2 * std::sin(0.011 * i * i)));
  const std::vector<float> picture = LogMel(options)(samples);
  REQUIRE(picture.size() == 15);
  const auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  const auto hertz = [](double m) { return 700 * (std::pow(10, m / 2595) - 1); };
  for (std::size_t band = 0; band < 5; ++band)
    for (std::size_t frame = 0; frame < 3; ++frame) {
      const double step = mel(4000) / 6, low = hertz(step * static_cast<double>(band)), middle = hertz(step * static_cast<double>(band + 1)),
                   high = hertz(step * static_cast<double>(band + 2));
      double energy = 1e-5;
      for (std::size_t k = 0; k <= 32; ++k) {
        std::complex<double> sum;
        for (std::size_t i = 0; i < 64 && frame * 40 + i < samples.size(); ++i) {
          const double hann = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / 64);
          sum += hann * static_cast<double>(samples[frame * 40 + i]) * std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(i * k) / 64);
        }
        const double f = static_cast<double>(k) * 125;
        if (f > low && f < high) energy += std::norm(sum) * (f < middle ? (f - low) / (middle - low) : (high - f) / (high - middle));
      }
      CHECK(static_cast<double>(picture[band * 3 + frame]) == doctest::Approx(std::log(energy)).epsilon(1e-5));
    }
}

TEST_CASE("a higher tone lies in a higher band, and silence in none") {
  const LogMel log_mel{LogMelOptions{}};
  CHECK(log_mel.length() == 8448);
  const auto loudest = [&](double hertz) {
    std::vector<float> samples;
    for (int i = 0; i < 2000; ++i) samples.push_back(static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * hertz * i / 8000)));
    const std::vector<float> picture = log_mel(samples);
    CHECK(picture[31] == doctest::Approx(std::log(1e-5)));  // the last frame is silent
    std::size_t band = 0;
    for (std::size_t b = 0; b < 32; ++b)
      if (picture[b * 32 + 2] > picture[band * 32 + 2]) band = b;
    return band;
  };
  CHECK(loudest(200) < loudest(440));
  CHECK(loudest(440) < loudest(1000));
  CHECK(loudest(3900) == 31);
  CHECK(contains(said([] { LogMel({.window = 100}); }, Kind::usage), "window 100"));
}
