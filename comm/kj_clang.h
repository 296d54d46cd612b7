// Lets clang 16 and newer read the headers of Cap'n Proto 0.9: in C++20 those leave "text" == StringPtr to the
// compiler, which may no longer turn the operands of an operator== that has an operator!= beside it (P2468).
// The build puts this file in front of every source that uses comm.
#pragma once

#if defined(__clang__) && defined(__cplusplus)
#include <kj/string.h>

#if __cpp_impl_three_way_comparison
namespace kj {

inline bool operator==(const char* a, const StringPtr& b) { return b.operator==(StringPtr(a)); }
inline bool operator!=(const char* a, const StringPtr& b) { return !b.operator==(StringPtr(a)); }

}  // namespace kj
#endif
#endif
