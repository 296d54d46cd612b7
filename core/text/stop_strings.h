// Stop strings in a stream of text: what may be the beginning of one is held back, none is ever handed on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/text/utf8.h"

namespace starling::core {

class StopStrings {
 public:
  /// Kind::usage for an empty stop string. No stop strings: only incomplete characters are held back.
  explicit StopStrings(std::vector<std::string> stops);

  /// What can be handed on now, in whole characters. Empty once stopped().
  std::string push(std::string_view bytes);
  /// What is left at the end of the stream; nothing when it was stopped.
  std::string finish();
  /// A stop string was found; the text ends in front of it.
  bool stopped() const { return stopped_ >= 0; }
  /// Which one, or -1.
  int which() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  Utf8Stream characters_;
  int stopped_ = -1;
};

}  // namespace starling::core
