#include "core/data/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

namespace starling::core {
namespace {

constexpr std::size_t kHeaderMax = 1 << 16, kDimensionsMax = 8;

struct Element {
  std::string_view name;
  Npy::Type type;
  std::uint64_t bytes;
};
constexpr std::array kElements{Element{"<f4", Npy::Type::f4, 4}, Element{"<f8", Npy::Type::f8, 8}, Element{"<i4", Npy::Type::i4, 4},
                               Element{"<i8", Npy::Type::i8, 8}, Element{"|u1", Npy::Type::u1, 1}};

const Element& element(Npy::Type type) { return kElements[static_cast<std::size_t>(type)]; }

/// The header {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, its keys in any order.
class Header {
 public:
  Header(std::string_view text, const std::string& source) : left_(text), source_(source) {}

  void read(Npy& array) {
    std::optional<std::string> type;
    std::optional<bool> fortran;
    bool shaped = false;
    take("{");
    while (!accept("}")) {
      const std::string key = text();
      take(":");
      if (key == "descr" && !type) type = text();
      else if (key == "fortran_order" && !fortran) fortran = flag();
      else if (key == "shape" && !shaped) array.shape = shape(), shaped = true;
      else malformed("the header has a key '" + key + "', expected descr, fortran_order and shape once");
      if (!accept(",")) {
        take("}");
        break;
      }
    }
    skip();
    if (!left_.empty()) malformed("the header goes on after its end");
    if (!type || !fortran || !shaped) malformed("the header lacks descr, fortran_order or shape");
    const auto known = std::find_if(kElements.begin(), kElements.end(), [&](const Element& e) { return e.name == *type; });
    check(known != kElements.end(), Kind::unsupported, "{}: descr is '{}', expected <f4, <f8, <i4, <i8 or |u1", source_, *type);
    check(!*fortran, Kind::unsupported, "{}: fortran_order is True, expected C order (numpy.ascontiguousarray)", source_);
    array.type = known->type;
  }

 private:
  [[noreturn]] void malformed(const std::string& what) const { fail(Kind::malformed, "{}: {}", source_, what); }
  void skip() {
    while (!left_.empty() && (left_.front() == ' ' || left_.front() == '\n')) left_.remove_prefix(1);
  }
  bool accept(std::string_view word) {
    skip();
    if (!left_.starts_with(word)) return false;
    left_.remove_prefix(word.size());
    return true;
  }
  void take(std::string_view word) {
    if (!accept(word)) malformed(fmt::format("the header has no '{}' where one is expected", word));
  }
  std::string text() {
    take("'");
    std::string result;
    for (; !left_.empty() && left_.front() >= ' ' && left_.front() <= '~' && left_.front() != '\''; left_.remove_prefix(1)) result += left_.front();
    take("'");
    return result;
  }
  bool flag() {
    if (accept("True")) return true;
    take("False");
    return false;
  }
  Shape shape() {
    Shape sizes;
    take("(");
    while (!accept(")")) {
      skip();
      std::int64_t size = 0;
      const auto [end, error] = std::from_chars(left_.data(), left_.data() + left_.size(), size);
      if (error != std::errc() || size < 0) malformed("shape holds something else than sizes");
      left_.remove_prefix(static_cast<std::size_t>(end - left_.data()));
      sizes.push_back(size);
      if (sizes.size() > kDimensionsMax) malformed(fmt::format("shape has more than {} sizes", kDimensionsMax));
      if (!accept(",")) {
        take(")");
        break;
      }
    }
    return sizes;
  }

  std::string_view left_;
  const std::string& source_;
};

/// Calls take(value) for every value of the array, which is of type T.
template <class T, class Take>
void each_value(const Npy& array, Take take) {
  for (std::size_t at = 0; at < array.data.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, array.data.data() + at, sizeof(T));
    take(value);
  }
}

template <class Take>
void each_value(const Npy& array, Take take) {
  switch (array.type) {
    case Npy::Type::f4: return each_value<float>(array, take);
    case Npy::Type::f8: return each_value<double>(array, take);
    case Npy::Type::i4: return each_value<std::int32_t>(array, take);
    case Npy::Type::i8: return each_value<std::int64_t>(array, take);
    case Npy::Type::u1: return each_value<std::uint8_t>(array, take);
  }
}

}  // namespace

Npy parse_npy(Bytes file, const std::string& source) {
  Reader reader(file, source);
  reader.require(reader.text(6, "magic") == "\x93NUMPY", "magic", "is not that of an NPY file");
  const auto version = reader.number<std::uint8_t>("version");
  reader.number<std::uint8_t>("minor version");
  reader.require(version >= 1 && version <= 3, "version", "is {}, expected 1 to 3", version);
  const std::uint64_t length = version == 1 ? reader.number<std::uint16_t>("header length") : reader.number<std::uint32_t>("header length");
  reader.require(length <= kHeaderMax, "header length", "{} bytes, at most {} allowed", length, kHeaderMax);
  Npy array;
  const std::string header = reader.text(length, "header");
  Header(header, source).read(array);
  std::uint64_t bytes = element(array.type).bytes;
  for (const std::int64_t size : array.shape) {
    const auto product = checked_multiply(bytes, static_cast<std::uint64_t>(size));
    reader.require(product.has_value(), "shape", "overflows");
    bytes = *product;
  }
  reader.require(reader.left() == bytes, "values", "take {} bytes, the shape {}", reader.left(), bytes);
  array.data = reader.take(bytes, "values");
  return array;
}

std::vector<float> npy_floats(const Npy& array, const std::string& source) {
  std::vector<float> values;
  values.reserve(array.data.size() / element(array.type).bytes);
  each_value(array, [&](auto value) {
    values.push_back(static_cast<float>(value));
    check(std::isfinite(values.back()), Kind::malformed, "{}: value {} is not finite", source, values.size() - 1);
  });
  return values;
}

std::vector<std::int32_t> npy_whole_numbers(const Npy& array, std::int32_t low, std::int32_t high, const std::string& source) {
  check(array.type != Npy::Type::f4 && array.type != Npy::Type::f8, Kind::unsupported, "{}: descr is '{}', expected whole numbers: <i4, <i8 or |u1", source,
        element(array.type).name);
  std::vector<std::int32_t> values;
  values.reserve(array.data.size() / element(array.type).bytes);
  each_value(array, [&](auto value) {
    check(value >= low && value <= high, Kind::malformed, "{}: value {} is {}, expected {} to {}", source, values.size(), value, low, high);
    values.push_back(static_cast<std::int32_t>(value));
  });
  return values;
}

}  // namespace starling::core
