#include "core/train/load_checkpoint.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/file.h"
#include "core/formats/safetensors.h"
#include "core/formats/torch_pickle.h"
#include "core/quant/blocks.h"

namespace starling::core {
namespace {

bool is_zip(Bytes bytes) { return bytes.size() >= 4 && std::string_view(reinterpret_cast<const char*>(bytes.data()), 4) == "PK\3\4"; }

std::vector<SafetensorsEntry> read_entries(Bytes bytes, const std::string& source) {
  check(!is_zip(bytes), Kind::unsupported,
        "{}: a zip file, which torch.save writes today; save it with _use_new_zipfile_serialization=False, or as safetensors", source);
  if (!is_torch_pickle(bytes)) return decode_safetensors(bytes, source).tensors;
  return decode_torch_pickle(bytes, source);
}

/// The model's own tensors by the model's own names.
std::map<std::string, SafetensorsEntry> of_model(const std::vector<SafetensorsEntry>& entries, const std::string& source) {
  constexpr std::string_view kState = "state_dict/", kModule = "module.", kCount = "num_batches_tracked";
  const bool nested = std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return e.name.starts_with(kState); });
  std::map<std::string, SafetensorsEntry> found;
  for (const SafetensorsEntry& e : entries) {
    const std::string name = nested && e.name.starts_with(kState) ? e.name.substr(kState.size()) : e.name;
    const bool ours = nested ? e.name.starts_with(kState) : name.find('/') == std::string::npos;
    if (ours && !name.ends_with(kCount)) found[name] = e;
  }
  check(!found.empty(), Kind::malformed, "{}: holds no tensors of a model, neither by themselves nor below state_dict", source);
  if (!std::all_of(found.begin(), found.end(), [&](const auto& e) { return e.first.starts_with(kModule); })) return found;
  std::map<std::string, SafetensorsEntry> bare;
  for (auto& [name, entry] : found) bare[name.substr(kModule.size())] = std::move(entry);
  return bare;
}

}  // namespace

void load_checkpoint(Parameters& parameters, const std::filesystem::path& file) {
  const auto mapped = MappedFile::open(file);
  const std::string source = file.string();
  const std::map<std::string, SafetensorsEntry> tensors = of_model(read_entries(mapped->bytes(), source), source);
  const ParameterLayout& layout = *parameters.layout;
  for (const auto& [name, entry] : tensors) check(layout.find(name).has_value(), Kind::malformed, "{}: tensor {} is none of the model's", source, name);
  std::vector<float> values = parameters.values;
  for (const ParameterEntry& wanted : layout.entries()) {
    const auto found = tensors.find(wanted.name);
    check(found != tensors.end(), Kind::malformed, "{}: tensor {} of the model is missing", source, wanted.name);
    check(found->second.shape == wanted.shape, Kind::malformed, "{}: tensor {} has shape ({}), the model's has ({})", source, wanted.name,
          fmt::join(found->second.shape, ", "), fmt::join(wanted.shape, ", "));
    const Tensor tensor = to_float(safetensors_tensor(found->second, mapped->bytes(), mapped, source));
    std::copy_n(tensor.floats().begin(), wanted.size, values.begin() + wanted.offset);
  }
  parameters.values = std::move(values);
}

void save_checkpoint(const std::filesystem::path& file, const ParameterLayout& layout, std::span<const float> values, const std::map<std::string, std::string>& metadata) {
  ensure(static_cast<std::int64_t>(values.size()) == layout.size(), "values of another layout");
  std::vector<Outgoing> tensors;
  for (const ParameterEntry& entry : layout.entries())
    tensors.push_back(outgoing_floats(entry.name, entry.shape, values.subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size))));
  write_safetensors(file, metadata, tensors);
}

}  // namespace starling::core
