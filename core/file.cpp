#include "core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/crash_point.h"
#include "core/file_pages.h"

namespace starling::core {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

struct stat regular_file(int fd, const std::string& name) {
  struct stat info {};
  check(::fstat(fd, &info) == 0, Kind::missing, "{}: {}", name, last_error);
  check(S_ISREG(info.st_mode), Kind::malformed, "{}: not a regular file", name);
  return info;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const std::string name = path.string();
  const Descriptor fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  check(fd.get() >= 0, Kind::missing, "{}: cannot open: {}", name, last_error);
  const auto size = static_cast<std::size_t>(regular_file(fd.get(), name).st_size);
  Bytes bytes;
  if (size > 0) {
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    check(data != MAP_FAILED, Kind::overloaded, "{}: cannot map {} bytes: {}", name, size, last_error);
    bytes = Bytes(static_cast<const std::byte*>(data), size);
    note_mapping(bytes);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(bytes, name));
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  forget_mapping(bytes_);
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

std::string read_text(const std::filesystem::path& path, std::uint64_t bytes_max) {
  const std::string name = path.string();
  const Descriptor fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  check(fd.get() >= 0, Kind::missing, "{}: cannot open: {}", name, last_error);
  const auto size = static_cast<std::uint64_t>(regular_file(fd.get(), name).st_size);
  check(size <= bytes_max, Kind::malformed, "{}: {} bytes, at most {} expected", name, size, bytes_max);
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::read(fd.get(), text.data() + done, text.size() - done);
    check(n > 0, Kind::malformed, "{}: ended after {} of {} bytes", name, done, text.size());
    done += static_cast<std::size_t>(n);
  }
  return text;
}

void write_file(const std::filesystem::path& path, const std::function<void(const Sink&)>& write) {
  const std::string name = path.string();
  const std::string temporary = fmt::format("{}.{}.part", name, ::getpid());
  const Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  check(fd.get() >= 0, Kind::refused, "{}: cannot write: {}", temporary, last_error);
  try {
    write([&](Bytes data) {
      while (!data.empty()) {
        const ssize_t n = ::write(fd.get(), data.data(), data.size());
        if (n < 0 && errno == EINTR) continue;
        check(n > 0, Kind::refused, "{}: cannot write: {}", temporary, last_error);
        data = data.subspan(static_cast<std::size_t>(n));
        crash_point("write");
      }
    });
    crash_point("fsync");
    check(::fsync(fd.get()) == 0, Kind::refused, "{}: fsync: {}", temporary, last_error);
    crash_point("rename");
    check(std::rename(temporary.c_str(), name.c_str()) == 0, Kind::refused, "{}: rename: {}", name,
          last_error);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

}  // namespace starling::core
