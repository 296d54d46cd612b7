// Packed files: gzip, xz and the like, alone or as tar archives, through libarchive and within bounds, as a small file
// may unpack to anything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/bytes.h"

namespace starling::core {

/// The bytes of one packed (or plain) file. Kind::missing when it is not there; Kind::malformed naming the file when it
/// is broken or unpacks to more than `bytes_max`.
std::vector<std::byte> read_packed(const std::filesystem::path& file, std::uint64_t bytes_max);

/// Calls visit(name, bytes) for every plain file of an archive, in its order. Kind::malformed beyond `entries_max` or
/// `bytes_max` in all, too.
void read_archive(const std::filesystem::path& file, std::size_t entries_max, std::uint64_t bytes_max,
                  const std::function<void(const std::string& name, Bytes bytes)>& visit);

}  // namespace starling::core
