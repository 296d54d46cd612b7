#include "core/file_pages.h"

#include <sys/mman.h>

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
  // To the borders of huge pages, as the system may have mapped a whole one where a single byte was read, and with it
  // neighbours that had been dropped before.
  constexpr std::uintptr_t kHugePage = std::uintptr_t{2} << 20;
  const auto mapping = reinterpret_cast<std::uintptr_t>(it->first), first = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t begin = std::max(mapping, first / kHugePage * kHugePage);
  const std::uintptr_t end = std::min(mapping + it->second, (first + bytes.size() + kHugePage - 1) / kHugePage * kHugePage);
  // A mapping that cannot be dropped costs memory and nothing else.
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace starling::core
