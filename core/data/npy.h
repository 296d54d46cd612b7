// NPY, NumPy's file of one array, versions 1 to 3: magic, version, a Python literal that describes the array, its values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/tensor.h"

namespace starling::core {

struct Npy {
  enum class Type { f4, f8, i4, i8, u1 };
  Type type = Type::f4;
  Shape shape;
  Bytes data;  // of the input's memory, in no alignment
};

/// Kind::malformed naming `source` and field; Kind::unsupported for other element types than little-endian f4, f8, i4,
/// i8 and u1, and for arrays in Fortran's order.
Npy parse_npy(Bytes file, const std::string& source);

/// All values, rounded to float. Kind::malformed when one is not finite then.
std::vector<float> npy_floats(const Npy& array, const std::string& source);
/// All values. Kind::unsupported for arrays of floats, Kind::malformed for a value outside low to high.
std::vector<std::int32_t> npy_whole_numbers(const Npy& array, std::int32_t low, std::int32_t high, const std::string& source);

}  // namespace starling::core
