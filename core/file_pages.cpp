#include "core/file_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>

namespace starling::core {
namespace {

struct Mappings {
  std::mutex mutex;
  std::map<const std::byte*, std::size_t> sizes;  // by first byte
};

Mappings& mappings() {
  static Mappings all;
  return all;
}

}  // namespace

void note_mapping(Bytes mapping) {
  Mappings& all = mappings();
  const std::lock_guard lock(all.mutex);
  all.sizes[mapping.data()] = mapping.size();
}

void forget_mapping(Bytes mapping) {
  Mappings& all = mappings();
  const std::lock_guard lock(all.mutex);
  all.sizes.erase(mapping.data());
}

void release_file_pages(Bytes bytes) {
  Mappings& all = mappings();
  const std::lock_guard lock(all.mutex);  // held to the end, so that the mapping stays
  auto it = all.sizes.upper_bound(bytes.data());
  if (it == all.sizes.begin()) return;
  --it;
  if (bytes.data() + bytes.size() > it->first + it->second) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(bytes.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size()) / page * page;
  // A mapping that cannot be dropped costs memory and nothing else.
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace starling::core
