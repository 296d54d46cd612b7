// Files as bytes: mapped for reading, replaced atomically for writing.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/bytes.h"

namespace starling::core {

/// A whole file mapped read-only. Pages come in when touched and can be dropped by the system.
class MappedFile {
 public:
  /// Kind::missing if it cannot be opened, Kind::malformed if it is not a regular file.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return bytes_; }
  const std::string& name() const { return name_; }

 private:
  MappedFile(Bytes bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}
  Bytes bytes_;
  std::string name_;
};

/// Reads at most `bytes_max` bytes; a longer file is Kind::malformed.
std::string read_text(const std::filesystem::path& path, std::uint64_t bytes_max);

/// Writes `path` through a temporary file beside it, fsync and rename: readers see the old file or the
/// whole new one. `write` receives a sink that may be called any number of times.
using Sink = std::function<void(Bytes)>;
void write_file(const std::filesystem::path& path, const std::function<void(const Sink&)>& write);

}  // namespace starling::core
