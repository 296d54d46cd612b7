#include "core/zeroed_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

namespace starling::core {
namespace {

constexpr std::size_t kAlignment = 64, kHugePage = std::size_t{2} << 20;

std::shared_ptr<std::byte> small(std::size_t size) {
  auto* memory = static_cast<std::byte*>(::operator new(size, std::align_val_t{kAlignment}));
  std::memset(memory, 0, size);
  return {memory, [](std::byte* p) { ::operator delete(p, std::align_val_t{kAlignment}); }};
}

}  // namespace

std::shared_ptr<std::byte> zeroed_memory(std::size_t size) {
  if (size < kHugePage) return small(size);
  // One huge page more than is needed, to begin at a multiple of its size; what is never touched costs nothing.
  const std::size_t mapped = size + kHugePage;
  if (mapped < size) throw std::bad_alloc();
  void* const base = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) throw std::bad_alloc();
  const auto address = reinterpret_cast<std::uintptr_t>(base);
  auto* const memory = reinterpret_cast<std::byte*>((address + kHugePage - 1) / kHugePage * kHugePage);
  // Advice: without huge pages it works as well. The last, partial one stays in small pages, so that nothing is wasted.
  ::madvise(memory, size / kHugePage * kHugePage, MADV_HUGEPAGE);
  return {memory, [base, mapped](std::byte*) { ::munmap(base, mapped); }};
}

}  // namespace starling::core
