// Ends what packed_target_begin.h began.
#pragma once

#if !defined(STARLING_TARGET)  // nothing was begun
#elif defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
