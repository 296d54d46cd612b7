// Fuzz target: the messages of the "shard" service, as a worker (jobs, tensors, steps) and as the master (answers)
// gets them.
// covers: partition/shard_messages.cpp partition/shard_step.cpp
#include "partition/shard_messages.h"

#include <algorithm>

#include "partition/shard_step.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  if (size == 0) return 0;
  const core::Bytes input = tests::input(data + 1, size - 1);
  tests::refuse_politely([&] {
    switch (data[0] % 5) {
      case 0: partition::encode(partition::decode_shard_job(input, "fuzz")); break;
      case 1: {
        const partition::TensorHeader header = partition::decode_tensor_header(input, "fuzz");
        core::ensure(!core::block_parts()[header.part].name.empty(), "a part without a name");
        partition::encode(header);
        break;
      }
      case 2: partition::encode(partition::decode_ready(input, "fuzz")); break;
      case 4: {
        partition::StepBuffer step({4, 128, 8, 2});
        std::copy(input.begin(), input.end(), step.receive(input.size(), "fuzz").begin());
        step.decode("fuzz");
        partition::StepBuffer again({4, 128, 8, 2});
        again.set(step.segments());
        core::ensure(again.bytes().size() == input.size() && step.hidden().size() == static_cast<std::size_t>(step.rows()) * 2,
                     "a step that changed its size");
        break;
      }
      default: partition::encode(partition::decode_shard_report(input, "fuzz"));
    }
  });
  return 0;
}
