// Functions from here to packed_target_end.h are compiled for the instruction set STARLING_TARGET. No standard
// header may follow: its inline functions would be compiled for it too, and shared with the whole program.
// Included once per source file, by design without a guard beyond this one.
#pragma once

#if defined(STARLING_TARGET)
#define STARLING_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define STARLING_PUSH_TARGET(set) STARLING_PRAGMA(clang attribute push(__attribute__((target(set))), apply_to = function))
#else
#define STARLING_PUSH_TARGET(set) STARLING_PRAGMA(GCC push_options) STARLING_PRAGMA(GCC target set)
#endif
STARLING_PUSH_TARGET(STARLING_TARGET)
#endif
