// GGUF files with the types of a mixture (quant/mixture.h): from a model, or from another GGUF file of any
// architecture, whose metadata stays.
#pragma once

#include <filesystem>
#include <functional>

#include "core/formats/gguf.h"
#include "core/models/llama.h"
#include "core/pool.h"
#include "core/quant/mixture.h"

namespace starling::core {

/// What the rule asks about a model, from the metadata and tensors of its file.
MixtureModel mixture_model(const GgufMetadata& metadata, std::span<const Outgoing> tensors);

/// Sets a u32, in its place if it is there.
void set_count(GgufMetadata& metadata, std::string_view key, std::int64_t count);

/// Bytes written so far and in all; called between batches of rows.
using WriteProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Rows are quantised on the pool's threads a few at a time, so that models larger than memory can be written; the
/// file does not depend on how many threads there are.
void save_gguf(const std::filesystem::path& path, const LlamaModel& model, const Mixture& mixture, Pool& pool,
               const WriteProgress& progress = {});

/// Kind::unsupported when a tensor has a type that this build cannot read.
void convert_gguf(const std::filesystem::path& in, const std::filesystem::path& out, const Mixture& mixture, Pool& pool,
                  const WriteProgress& progress = {});

}  // namespace starling::core
