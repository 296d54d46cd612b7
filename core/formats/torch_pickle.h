// What PyTorch wrote before its zip form (torch.save up to 1.5, later with _use_new_zipfile_serialization=False): five
// pickles (magic number, version, machine, the object, the storages' keys), then each storage as a count and its values.
#pragma once

#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/formats/safetensors.h"

namespace starling::core {

/// Whether `file` begins as such a checkpoint does.
bool is_torch_pickle(Bytes file);

/// Its tensors, all that dicts within dicts hold, in their order; a name is the keys on the way joined by '/', as
/// "state_dict/conv1.weight". Other values are passed over. Entries are as those of safetensors: dtype "F32" and the like,
/// a place in the file. Kind::malformed naming `source` and the field or tensor; Kind::unsupported for what this reader
/// does not know: globals that are not of tensors (by name), tensors that are not contiguous, other protocols.
std::vector<SafetensorsEntry> decode_torch_pickle(Bytes file, const std::string& source);

}  // namespace starling::core
