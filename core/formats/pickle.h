// Python's pickles, protocol 2, read by a machine that can run nothing: it builds plain values, and a call stays a record
// of what would have been called. Bounded and pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"

namespace starling::core {

/// A value's place in Pickle::values. Values may contain each other, even themselves: whoever walks them needs a bound.
using PickleRef = std::uint32_t;

struct PickleValue {
  enum class Kind { none, boolean, integer, number, text, tuple, list, dict, global, call, persistent };
  Kind kind = Kind::none;
  std::int64_t integer = 0;      // boolean and integer
  double number = 0;
  std::string text;              // of a global "module name"
  std::vector<PickleRef> items;  // dict: key, value, key, value ...; call: the global, its arguments as a tuple; persistent: the id
};

struct Pickle {
  std::vector<PickleValue> values;
  PickleRef root = 0;

  const PickleValue& at(PickleRef ref) const { return values[ref]; }
};

/// Reads one pickle from `reader` to its STOP. `globals` may be named and called, as "module name"; collections.OrderedDict
/// always may and makes a dict. Kind::unsupported naming any other global, opcode or protocol; Kind::malformed naming the
/// opcode and its offset for all else. Attributes set on an object (BUILD) are passed over.
Pickle read_pickle(Reader& reader, std::span<const std::string_view> globals);

}  // namespace starling::core
