// What dialogues need beside their messages.
#pragma once

#include <ctime>
#include <string>

namespace starling::tools {

/// "26 Jul 2024", which some templates tell the model.
inline std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%d %b %Y", &parts)};
}

}  // namespace starling::tools
