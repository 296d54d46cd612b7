// Pages of mapped files that are not needed any more go back to the system, so that weights which were read and
// stored in another form are not held twice.
#pragma once

#include "core/bytes.h"

namespace starling::core {

/// A read-only mapping of a file begins and ends.
void note_mapping(Bytes mapping);
void forget_mapping(Bytes mapping);

/// Drops the pages of `bytes` from this process's memory if they belong to a mapped file; any other bytes are left
/// alone. They can still be read, as can neighbours that are dropped with them: the system brings them back.
void release_file_pages(Bytes bytes);

}  // namespace starling::core
