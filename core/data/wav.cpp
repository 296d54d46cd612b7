#include "core/data/wav.h"

namespace starling::core {
namespace {

/// The rate that a "fmt " chunk gives.
std::int64_t read_format(Reader format) {
  const auto coding = format.number<std::uint16_t>("coding"), channels = format.number<std::uint16_t>("channels");
  const auto rate = format.number<std::uint32_t>("rate");
  format.take(6, "bytes per second and block");
  const auto bits = format.number<std::uint16_t>("bits per sample");
  check(coding == 1 && channels == 1 && bits == 16, Kind::unsupported, "{}: coding {}, {} channels, {} bits; expected coding 1 (PCM), 1 channel, 16 bits",
        format.source(), coding, channels, bits);
  format.require(rate > 0, "rate", "is 0");
  return rate;
}

}  // namespace

Wav parse_wav(Bytes file, const std::string& source) {
  Reader reader(file, source);
  const std::string riff = reader.text(4, "RIFF");
  reader.take(4, "RIFF size");  // writers to a pipe leave it wrong
  reader.require(riff == "RIFF" && reader.text(4, "WAVE") == "WAVE", "magic", "is not that of a WAV file");
  Wav wav;
  while (reader.left() > 0) {
    const std::string name = reader.text(4, "chunk name");
    const auto size = reader.number<std::uint32_t>("chunk size");
    const Bytes chunk = reader.take(size, "chunk");
    if (size % 2 == 1 && reader.left() > 0) reader.take(1, "padding");
    if (name == "fmt ") wav.rate = read_format(Reader(chunk, source + ": fmt"));
    if (name != "data") continue;
    reader.require(wav.rate > 0, "data", "comes before the format");
    reader.require(size % 2 == 0, "data", "{} bytes are no samples of two", size);
    Reader samples(chunk, source);
    wav.samples.reserve(size / 2);
    while (samples.left() > 0) wav.samples.push_back(static_cast<float>(samples.number<std::int16_t>("sample")) / 32768);
    return wav;
  }
  reader.malformed("data", "no such chunk");
}

}  // namespace starling::core
