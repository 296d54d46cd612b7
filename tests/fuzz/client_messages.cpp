// Fuzz target: the messages of the "client" service, as a node (jobs, tasks, verdicts) and as the server (answers) gets
// them.
// covers: federated/client_messages.cpp
#include "federated/client_messages.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  if (size == 0) return 0;
  const core::Bytes input = tests::input(data + 1, size - 1);
  tests::refuse_politely([&] {
    switch (data[0] % 7) {
      case 0: federated::encode(federated::decode_client_job(input, "fuzz")); break;
      case 1: federated::encode(federated::decode_client_ready(input, "fuzz")); break;
      case 2: federated::encode(federated::decode_task(input, "fuzz")); break;
      case 3: federated::encode(federated::decode_reply(input, "fuzz")); break;
      case 4: federated::encode(federated::decode_verdict(input, "fuzz")); break;
      case 5: federated::encode_settle(federated::decode_settle(input, "fuzz")); break;
      default: federated::encode(federated::decode_client_report(input, "fuzz"));
    }
  });
  return 0;
}
