// What every fuzz target shares: the entry point's declaration, and running a decoder that may refuse its input
// with an Error but do nothing worse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/bytes.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace starling::tests {

inline core::Bytes input(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

/// Kind::internal would be a bug of ours; any other exception escapes and is a finding too.
template <class Decode>
void refuse_politely(Decode&& decode) {
  try {
    decode();
  } catch (const core::Error& error) {
    if (error.kind() == core::Kind::internal) std::abort();
  }
}

}  // namespace starling::tests
