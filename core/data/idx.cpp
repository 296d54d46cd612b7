#include "core/data/idx.h"

#include "core/error.h"

namespace starling::core {

Idx parse_idx(Bytes bytes, const std::string& source) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  constexpr std::uint32_t kUnsignedBytes = 8, kDimensionsMax = 3;
  check(bytes.size() >= 4, Kind::malformed, "{}: {} bytes are no IDX file", source, bytes.size());
  check(byte(0) == 0 && byte(1) == 0 && byte(2) == kUnsignedBytes && byte(3) >= 1 && byte(3) <= kDimensionsMax, Kind::malformed,
        "{}: begins with {:02x} {:02x} {:02x} {:02x}, expected 00 00 08 and 1 to {} dimensions", source, byte(0), byte(1), byte(2), byte(3), kDimensionsMax);
  const std::size_t dimensions = byte(3), header = 4 + 4 * dimensions;
  check(bytes.size() >= header, Kind::malformed, "{}: cut short in its {} sizes", source, dimensions);
  Idx idx;
  std::uint64_t count = 1;
  for (std::size_t d = 0; d < dimensions; ++d) {
    const std::size_t at = 4 + 4 * d;
    const std::uint64_t size = std::uint64_t{byte(at)} << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
    idx.shape.push_back(static_cast<std::int64_t>(size));
    check(size == 0 || count <= bytes.size() / size, Kind::malformed, "{}: sizes of more values than the file has bytes", source);
    count *= size;
  }
  check(bytes.size() - header == count, Kind::malformed, "{}: {} values, expected {}", source, bytes.size() - header, count);
  idx.values = bytes.subspan(header);
  return idx;
}

}  // namespace starling::core
