// Cap'n Proto messages as bytes, bounded both ways. Every control payload passes here, so that kj's exceptions
// are turned into core::Error in one place.
#pragma once

#include <cstring>
#include <string_view>
#include <vector>

#include <capnp/message.h>
#include <capnp/serialize.h>

#include "core/bytes.h"
#include "core/error.h"

namespace starling::comm {

inline constexpr std::size_t kMessageBytesMax = std::size_t{1} << 20;

/// The bytes of a message of type T that `fill` sets.
template <class T, class Fill>
std::vector<std::byte> encode_message(Fill&& fill) {
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<T>());
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  std::vector<std::byte> result(bytes.size());
  std::memcpy(result.data(), bytes.begin(), bytes.size());
  return result;
}

/// `use` gets a reader of T over `bytes` and returns what it made of it. Kind::malformed naming `peer` when the
/// bytes are no such message, are longer than kMessageBytesMax, or nest or expand beyond sensible bounds.
template <class T, class Use>
auto decode_message(core::Bytes bytes, std::string_view peer, Use&& use) {
  core::check(bytes.size() <= kMessageBytesMax && bytes.size() % sizeof(capnp::word) == 0, core::Kind::malformed,
              "{}: control message of {} bytes: expected a multiple of 8, at most {}", peer, bytes.size(),
              kMessageBytesMax);
  std::vector<capnp::word> words(bytes.size() / sizeof(capnp::word));
  if (!words.empty()) std::memcpy(words.data(), bytes.data(), bytes.size());
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 4 * kMessageBytesMax / sizeof(capnp::word);
  options.nestingLimit = 16;
  try {
    capnp::FlatArrayMessageReader reader(kj::ArrayPtr<const capnp::word>(words.data(), words.size()), options);
    return use(reader.getRoot<T>());
  } catch (const kj::Exception& e) {
    core::fail(core::Kind::malformed, "{}: control message: {}", peer, e.getDescription().cStr());
  }
}

}  // namespace starling::comm
