// A user's program: how four devices of unequal speed share a model, and that an open wire refuses garbage.
#include <cstdio>

#include "comm/frame.h"
#include "partition/plan.h"

int main() {
  const starling::core::LlamaConfig config{.width = 128, .layers = 5, .heads = 8, .kv_heads = 4, .head_size = 16,
                                           .ffn = 256, .vocabulary = 768, .context = 512};
  for (const auto& slice : starling::partition::slices(config, starling::partition::parse_shares("3:1:1:1", 4)))
    std::printf("kv heads %d to %d\n", static_cast<int>(slice.kv_begin), static_cast<int>(slice.kv_end));
  try {
    starling::comm::decode(std::array<std::byte, starling::comm::kHeaderBytes>{}, 1024, "stranger");
  } catch (const starling::core::Error& error) {
    return error.kind() == starling::core::Kind::malformed ? 0 : 1;
  }
  return 1;
}
