// /v1/chat/completions.
#include "tools/serve/api.h"
#include "tools/serve/generation.h"

namespace starling::tools {

void Api::chat(const ChatRequest&, const std::shared_ptr<Exchange>&) {
  throw invalid("messages", "no chat template");
}

}  // namespace starling::tools
