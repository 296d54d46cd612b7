// Fuzz target: PyTorch's checkpoints before the zip form. The magic number is put in front of every input but those that
// have it, so that a fuzzer meets the machine at once.
// covers: core/formats/pickle.cpp core/formats/torch_pickle.cpp
#include <vector>

#include "core/formats/torch_pickle.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr unsigned char kMagic[] = {0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
  std::vector<std::byte> bytes;
  const core::Bytes whole = tests::input(data, size);
  if (!core::is_torch_pickle(whole))
    for (const unsigned char c : kMagic) bytes.push_back(std::byte{c});
  bytes.insert(bytes.end(), whole.begin(), whole.end());
  tests::refuse_politely([&] {
    for (const core::SafetensorsEntry& entry : core::decode_torch_pickle(bytes, "fuzz.th")) {
      core::ensure(entry.offset <= bytes.size() && entry.bytes <= bytes.size() - entry.offset, "a tensor beyond the file");
      tests::refuse_politely([&] { core::safetensors_tensor(entry, bytes, nullptr, "fuzz.th"); });
    }
  });
  return 0;
}
