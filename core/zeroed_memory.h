// Memory of zeros for tensors.
#pragma once

#include <cstddef>
#include <memory>

namespace starling::core {

/// `size` > 0 bytes of zeros at an address that is a multiple of 64. Large ones lie in huge pages where the kernel has
/// some: weights that are read from end to end for every token otherwise spend a good part of the time on looking up
/// addresses, most of all in virtual machines. Their pages take memory only once they are written.
std::shared_ptr<std::byte> zeroed_memory(std::size_t size);

}  // namespace starling::core
