#include "core/formats/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/formats/json_fields.h"

namespace starling::core {
namespace {

constexpr std::uint64_t kHeaderMax = 100'000'000;
constexpr std::size_t kSafetensorsDimensionsMax = 8;

struct Dtype {
  std::string_view name;
  std::uint64_t bits;
};
constexpr std::array kDtypes = std::to_array<Dtype>({
    {"BOOL", 8},    {"U8", 8},       {"I8", 8},          {"F8_E4M3", 8},     {"F8_E5M2", 8}, {"F8_E8M0", 8},
    {"I16", 16},    {"U16", 16},     {"F16", 16},        {"BF16", 16},       {"I32", 32},    {"U32", 32},
    {"F32", 32},    {"I64", 64},     {"U64", 64},        {"F64", 64},        {"C64", 64},    {"F4", 4},
    {"F6_E2M3", 6}, {"F6_E3M2", 6},  {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
});

std::uint64_t bits_of(const std::string& dtype, const JsonFields& fields) {
  const auto known = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.name == dtype; });
  fields.require(known != kDtypes.end(), "dtype", "is \"{}\", which does not exist", dtype);
  return known->bits;
}

std::uint64_t unsigned_of(const nlohmann::json& value, const JsonFields& fields, std::string_view key) {
  fields.require(value.is_number_unsigned() && value.get<std::uint64_t>() >> 62 == 0, key,
                 "holds something else than sizes");
  return value.get<std::uint64_t>();
}

std::uint64_t stored_bytes(const Shape& shape, std::uint64_t bits, const JsonFields& fields) {
  std::uint64_t total = bits;
  for (const std::int64_t size : shape) {
    const auto product = checked_multiply(total, static_cast<std::uint64_t>(size));
    fields.require(product.has_value(), "shape", "overflows");
    total = *product;
  }
  fields.require(total % 8 == 0, "shape", "does not fill whole bytes");
  return total / 8;
}

SafetensorsEntry read_entry(const std::string& name, const nlohmann::json& value, const std::string& source) {
  const JsonFields fields(value, source, name);
  SafetensorsEntry entry;
  entry.name = name;
  entry.dtype = fields.required_text("dtype");
  const nlohmann::json& shape = fields.list("shape");
  fields.require(fields.find("shape") && shape.size() <= kSafetensorsDimensionsMax, "shape", "is missing or too long");
  for (const auto& size : shape) entry.shape.push_back(static_cast<std::int64_t>(unsigned_of(size, fields, "shape")));
  const nlohmann::json& offsets = fields.list("data_offsets");
  fields.require(offsets.size() == 2, "data_offsets", "is not [begin, end]");
  entry.offset = unsigned_of(offsets[0], fields, "data_offsets");
  const std::uint64_t end = unsigned_of(offsets[1], fields, "data_offsets");
  fields.require(end >= entry.offset, "data_offsets", "ends before it begins");
  entry.bytes = end - entry.offset;
  const std::uint64_t expected = stored_bytes(entry.shape, bits_of(entry.dtype, fields), fields);
  fields.require(entry.bytes == expected, "data_offsets", "spans {} bytes, the shape takes {}", entry.bytes, expected);
  return entry;
}

/// Checks that the data lie end to end, and turns offsets into file offsets.
void place(Safetensors& file, std::uint64_t data_start, std::uint64_t file_bytes, const std::string& source) {
  std::sort(file.tensors.begin(), file.tensors.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  std::uint64_t expected = 0;
  for (SafetensorsEntry& entry : file.tensors) {
    check(entry.offset == expected, Kind::malformed, "{}: {}.data_offsets begins at {}, {} expected", source, entry.name,
          entry.offset, expected);
    expected += entry.bytes;
    check(expected <= file_bytes - data_start, Kind::malformed, "{}: {}.data_offsets exceeds the file of {} bytes", source,
          entry.name, file_bytes);
    entry.offset += data_start;
  }
  check(expected == file_bytes - data_start, Kind::malformed, "{}: data: tensors take {} bytes, the file has {}", source,
        expected, file_bytes - data_start);
}

}  // namespace

Safetensors decode_safetensors(Bytes bytes, const std::string& source) {
  Reader reader(bytes, source);
  const auto length = reader.number<std::uint64_t>("header length");
  reader.require(length <= kHeaderMax, "header length", "{} bytes, at most {} allowed", length, kHeaderMax);
  const Bytes text = reader.take(length, "header");
  reader.require(!text.empty() && text.front() == std::byte{'{'}, "header", "does not start with {{");
  const nlohmann::json header = parse_json_object(text, source, {.bytes_max = kHeaderMax, .depth_max = 4});
  Safetensors file;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      file.tensors.push_back(read_entry(name, value, source));
      continue;
    }
    const JsonFields fields(value, source, name);
    for (const auto& [key, unused] : value.items()) file.metadata[key] = fields.required_text(key);
  }
  place(file, reader.offset(), bytes.size(), source);
  return file;
}

std::optional<Type> type_of_dtype(const std::string& dtype) {
  if (dtype == "F32") return Type::f32;
  if (dtype == "F16") return Type::f16;
  if (dtype == "BF16") return Type::bf16;
  return std::nullopt;
}

Tensor safetensors_tensor(const SafetensorsEntry& entry, Bytes file, std::shared_ptr<const void> keeper,
                          const std::string& source) {
  const auto type = type_of_dtype(entry.dtype);
  check(type.has_value(), Kind::unsupported, "{}: tensor {}: dtype {} is not supported, only F32, F16 and BF16", source,
        entry.name, entry.dtype);
  const Bytes data = file.subspan(entry.offset, entry.bytes);
  const bool aligned = reinterpret_cast<std::uintptr_t>(data.data()) % alignof(float) == 0;
  if (*type != Type::f32 || aligned || data.empty())
    return Tensor::borrowed(*type, entry.shape, data, std::move(keeper));
  Tensor copy = Tensor::owned(*type, entry.shape);
  std::memcpy(copy.mutable_bytes().data(), data.data(), data.size());
  return copy;
}

std::vector<float> safetensors_floats(const SafetensorsEntry& entry, Bytes file, const std::string& source) {
  check(entry.dtype == "F32" && entry.shape.size() == 1, Kind::malformed, "{}: {}: expected a list of F32", source, entry.name);
  std::vector<float> values(entry.bytes / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), file.data() + entry.offset, entry.bytes);
  return values;
}

}  // namespace starling::core
