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

/// `use` gets a reader of T over `bytes` and returns what it made of it. Kind::malformed naming `peer` and `what`
/// ("hello", ...) when the bytes are no such message, are more than `bytes_max`, or nest or expand beyond sensible
/// bounds.
template <class T, class Use>
auto decode_message(core::Bytes bytes, std::string_view peer, std::string_view what, Use&& use,
                    std::size_t bytes_max = kMessageBytesMax) {
  core::check(!bytes.empty() && bytes.size() <= bytes_max && bytes.size() % sizeof(capnp::word) == 0,
              core::Kind::malformed, "{}: a {} message of {} bytes, expected a multiple of {}, at most {}", peer, what,
              bytes.size(), sizeof(capnp::word), bytes_max);
  std::vector<capnp::word> words(bytes.size() / sizeof(capnp::word));
  std::memcpy(words.data(), bytes.data(), bytes.size());
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 4 * words.size();  // everything is read once; some slack for far pointers
  options.nestingLimit = 8;
  try {
    capnp::FlatArrayMessageReader reader(kj::ArrayPtr<const capnp::word>(words.data(), words.size()), options);
    return use(reader.getRoot<T>());
  } catch (const kj::Exception& error) {
    core::fail(core::Kind::malformed, "{}: broken {} message: {}", peer, what, error.getDescription().cStr());
  }
}

}  // namespace starling::comm
