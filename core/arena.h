// Memory that is taken piece by piece and given back all at once: what one training step computes. After the first
// step nothing is allocated any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace starling::core {

class Arena {
 public:
  /// Kernels may load, but never store, this many floats beyond the end of a piece.
  static constexpr std::size_t kSlackFloats = 64;

  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// 64-byte aligned, not initialised.
  float* floats(std::size_t count) { return static_cast<float*>(take((count + kSlackFloats) * sizeof(float))); }
  double* doubles(std::size_t count) { return static_cast<double*>(take(count * sizeof(double))); }
  std::int32_t* ints(std::size_t count) { return static_cast<std::int32_t*>(take(count * sizeof(std::int32_t))); }

  /// An object that needs no destructor.
  template <class T, class... Arguments>
  T* make(Arguments&&... arguments) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (take(sizeof(T))) T{std::forward<Arguments>(arguments)...};
  }

  struct Mark {
    std::size_t block = 0, used = 0;
  };
  /// Everything taken after mark() is free again after release(): pieces that only one operation needs.
  Mark mark() const { return {current_, used_}; }
  void release(const Mark& mark) {
    current_ = mark.block;
    used_ = mark.used;
  }
  void reset() { release({}); }
  std::size_t bytes() const;

 private:
  static constexpr std::size_t kAlign = 64;
  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t{kAlign}); }
  };
  struct Block {
    std::unique_ptr<std::byte, Free> memory;
    std::size_t size = 0;
  };

  void* take(std::size_t bytes);

  std::vector<Block> blocks_;
  std::size_t current_ = 0, used_ = 0;
};

}  // namespace starling::core
