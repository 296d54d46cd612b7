// Who may use the server: everyone on this machine, or whoever knows the key; and never a foreign page in a user's
// browser.
#pragma once

#include <string>
#include <string_view>

#include "tools/serve/http.h"

namespace starling::tools {

struct Admission {
  std::string key;        // empty: none is asked for
  bool loopback = true;   // the server listens for this machine only
};

/// ApiError 401 or 403. A server without a key answers only to names of this machine, so that no name that an attacker
/// points here (DNS rebinding) makes a browser's page one of ours; and never to a page of another origin.
void admit(const Admission& admission, const HttpRequest& request);

/// Takes as long for any `given` of one length.
bool equal_in_constant_time(std::string_view given, std::string_view secret);

}  // namespace starling::tools
