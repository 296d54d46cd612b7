#include "core/data/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "core/error.h"

namespace starling::core {
namespace {

struct Close {
  void operator()(archive* a) const { archive_read_free(a); }
};
using Unpacker = std::unique_ptr<archive, Close>;

[[noreturn]] void broken(const std::filesystem::path& file, archive* a) {
  const char* why = archive_error_string(a);
  fail(Kind::malformed, "{}: {}", file.string(), why ? why : "broken");
}

Unpacker open(const std::filesystem::path& file, bool raw) {
  check(std::filesystem::is_regular_file(file), Kind::missing, "{}: no such file", file.string());
  Unpacker reader(archive_read_new());
  check(reader != nullptr, Kind::overloaded, "{}: no memory to unpack it", file.string());
  archive_read_support_filter_all(reader.get());
  raw ? archive_read_support_format_raw(reader.get()) : archive_read_support_format_tar(reader.get());
  if (raw) archive_read_support_format_empty(reader.get());
  constexpr std::size_t kBlock = 64 << 10;
  if (archive_read_open_filename(reader.get(), file.c_str(), kBlock) != ARCHIVE_OK) broken(file, reader.get());
  return reader;
}

/// Adds the current entry's bytes to `to`, which may hold `bytes_max`.
void read_entry(const std::filesystem::path& file, archive* a, std::uint64_t bytes_max, std::vector<std::byte>& to) {
  constexpr std::size_t kStep = 256 << 10;
  for (;;) {
    const std::size_t had = to.size();
    to.resize(had + kStep);
    const la_ssize_t count = archive_read_data(a, to.data() + had, kStep);
    if (count < 0) broken(file, a);
    to.resize(had + static_cast<std::size_t>(count));
    check(to.size() <= bytes_max, Kind::malformed, "{}: unpacks to more than {} bytes", file.string(), bytes_max);
    if (count == 0) return;
  }
}

}  // namespace

std::vector<std::byte> read_packed(const std::filesystem::path& file, std::uint64_t bytes_max) {
  const Unpacker reader = open(file, true);
  archive_entry* entry = nullptr;
  std::vector<std::byte> bytes;
  const int status = archive_read_next_header(reader.get(), &entry);
  if (status == ARCHIVE_EOF) return bytes;  // an empty file
  if (status != ARCHIVE_OK) broken(file, reader.get());
  read_entry(file, reader.get(), bytes_max, bytes);
  return bytes;
}

void read_archive(const std::filesystem::path& file, std::size_t entries_max, std::uint64_t bytes_max,
                  const std::function<void(const std::string& name, Bytes bytes)>& visit) {
  const Unpacker reader = open(file, false);
  std::vector<std::byte> bytes;
  std::uint64_t left = bytes_max;
  for (std::size_t entries = 0;; ++entries) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) return;
    if (status != ARCHIVE_OK) broken(file, reader.get());
    check(entries < entries_max, Kind::malformed, "{}: more than {} entries", file.string(), entries_max);
    const char* name = archive_entry_pathname(entry);
    if (archive_entry_filetype(entry) != AE_IFREG || name == nullptr) continue;
    const std::string kept = name;
    bytes.clear();
    read_entry(file, reader.get(), left, bytes);
    left -= bytes.size();
    visit(kept, bytes);
  }
}

}  // namespace starling::core
