// Layout: "GGUF", u32 version, u64 tensor and key counts, keys with typed values, tensor infos, padding, data.
// (ggml's docs/gguf.md; the stricter rules are those of its C reader.)
#include "core/formats/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_set>

namespace starling::core {
namespace {

constexpr std::uint64_t kKeyBytesMax = 65535;
constexpr std::uint64_t kArrayMax = std::uint64_t{1} << 28;
constexpr std::uint64_t kStringMax = std::uint64_t{1} << 30;
constexpr std::uint32_t kGgufDimensionsMax = 4;
// The least that a key with its value (an empty key, a bool) and a tensor info take, to bound the counts.
constexpr std::uint64_t kKeyBytesMin = 8 + 4 + 1, kTensorBytesMin = 8 + 4 + 4 + 8;

/// Element types that ggml knows; those with a block of 0 bytes were removed from it.
struct GgmlType {
  std::uint32_t id;
  std::string_view name;
  std::uint64_t block_length, block_bytes;
};

constexpr std::array kGgmlTypes = std::to_array<GgmlType>({
    {0, "f32", 1, 4},        {1, "f16", 1, 2},         {2, "q4_0", 32, 18},      {3, "q4_1", 32, 20},
    {4, "q4_2", 0, 0},       {5, "q4_3", 0, 0},        {6, "q5_0", 32, 22},      {7, "q5_1", 32, 24},
    {8, "q8_0", 32, 34},     {9, "q8_1", 32, 36},      {10, "q2_k", 256, 84},    {11, "q3_k", 256, 110},
    {12, "q4_k", 256, 144},  {13, "q5_k", 256, 176},   {14, "q6_k", 256, 210},   {15, "q8_k", 256, 292},
    {16, "iq2_xxs", 256, 66}, {17, "iq2_xs", 256, 74}, {18, "iq3_xxs", 256, 98}, {19, "iq1_s", 256, 50},
    {20, "iq4_nl", 32, 18},  {21, "iq3_s", 256, 110},  {22, "iq2_s", 256, 82},   {23, "iq4_xs", 256, 136},
    {24, "i8", 1, 1},        {25, "i16", 1, 2},        {26, "i32", 1, 4},        {27, "i64", 1, 8},
    {28, "f64", 1, 8},       {29, "iq1_m", 256, 56},   {30, "bf16", 1, 2},       {31, "q4_0_4_4", 0, 0},
    {32, "q4_0_4_8", 0, 0},  {33, "q4_0_8_8", 0, 0},   {34, "tq1_0", 256, 54},   {35, "tq2_0", 256, 66},
    {36, "iq4_nl_4_4", 0, 0}, {37, "iq4_nl_4_8", 0, 0}, {38, "iq4_nl_8_8", 0, 0}, {39, "mxfp4", 32, 17},
});

const GgmlType* ggml_type(std::uint32_t id) { return id < kGgmlTypes.size() ? &kGgmlTypes[id] : nullptr; }

std::uint64_t padded(std::uint64_t size, std::uint64_t alignment, const Reader& reader, std::string_view field) {
  const auto sum = checked_add(size, alignment - 1);
  reader.require(sum.has_value(), field, "{} bytes cannot be padded to {}", size, alignment);
  return *sum / alignment * alignment;
}

std::string read_string(Reader& reader, std::string_view field, std::uint64_t bytes_max = kStringMax) {
  const auto length = reader.number<std::uint64_t>(field);
  reader.require(length <= bytes_max, field, "length {}, at most {} allowed", length, bytes_max);
  return reader.text(length, field);
}

std::int64_t read_integer(Reader& reader, GgufType type, std::string_view field) {
  switch (type) {
    case GgufType::u8: return reader.number<std::uint8_t>(field);
    case GgufType::i8: return reader.number<std::int8_t>(field);
    case GgufType::u16: return reader.number<std::uint16_t>(field);
    case GgufType::i16: return reader.number<std::int16_t>(field);
    case GgufType::u32: return reader.number<std::uint32_t>(field);
    case GgufType::i32: return reader.number<std::int32_t>(field);
    case GgufType::i64: return reader.number<std::int64_t>(field);
    case GgufType::boolean: {
      const auto value = reader.number<std::uint8_t>(field);
      reader.require(value <= 1, field, "bool of value {}", value);
      return value;
    }
    default: {
      ensure(type == GgufType::u64, "read_integer of a type that is no integer");
      const auto value = reader.number<std::uint64_t>(field);
      reader.require(value >> 63 == 0, field, "{} is above 2^63 - 1", value);
      return static_cast<std::int64_t>(value);
    }
  }
}

double read_float(Reader& reader, GgufType type, std::string_view field) {
  if (type == GgufType::f32) return static_cast<double>(reader.number<float>(field));
  return reader.number<double>(field);
}

std::uint64_t bytes_min(GgufType type) {
  constexpr std::array<std::uint64_t, 13> kBytes{1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  return kBytes[static_cast<std::size_t>(type)];
}

GgufType read_type(Reader& reader, std::string_view field) {
  const auto id = reader.number<std::uint32_t>(field);
  reader.require(id <= static_cast<std::uint32_t>(GgufType::f64), field, "value type {} does not exist", id);
  return static_cast<GgufType>(id);
}

template <class T, class Read>
std::vector<T> read_elements(std::uint64_t count, Read&& read) {
  std::vector<T> values;
  values.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) values.push_back(read());
  return values;
}

GgufValue read_array(Reader& reader, std::string_view key) {
  const GgufType type = read_type(reader, key);
  check(type != GgufType::array, Kind::unsupported, "{}: {}: arrays of arrays are not supported", reader.source(), key);
  const auto count = reader.number<std::uint64_t>(key);
  reader.require(count <= kArrayMax && count <= reader.left() / bytes_min(type), key,
                 "array of {} {} values, {} bytes left", count, to_string(type), reader.left());
  GgufValue value{type, true, {}};
  if (type == GgufType::string)
    value.data = read_elements<std::string>(count, [&] { return read_string(reader, key); });
  else if (type == GgufType::f32 || type == GgufType::f64)
    value.data = read_elements<double>(count, [&] { return read_float(reader, type, key); });
  else
    value.data = read_elements<std::int64_t>(count, [&] { return read_integer(reader, type, key); });
  return value;
}

GgufValue read_value(Reader& reader, std::string_view key) {
  const GgufType type = read_type(reader, key);
  if (type == GgufType::array) return read_array(reader, key);
  GgufValue value{type, false, {}};
  if (type == GgufType::string)
    value.data = read_string(reader, key);
  else if (type == GgufType::f32 || type == GgufType::f64)
    value.data = read_float(reader, type, key);
  else if (type == GgufType::boolean)
    value.data = read_integer(reader, type, key) != 0;
  else
    value.data = read_integer(reader, type, key);
  return value;
}

struct Counts {
  std::uint64_t tensors, keys;
};

Counts read_head(Reader& reader, Gguf& file) {
  const std::string magic = reader.text(4, "magic");
  reader.require(magic == "GGUF", "magic", "not a GGUF file");
  file.version = reader.number<std::uint32_t>("version");
  check((file.version & 0xffffu) != 0, Kind::unsupported, "{}: version: {:#x}: big-endian files are not supported",
        reader.source(), file.version);
  check(file.version == 2 || file.version == 3, Kind::unsupported, "{}: version: {} is not supported, only 2 and 3",
        reader.source(), file.version);
  const auto tensors = reader.number<std::uint64_t>("tensor_count");
  const auto keys = reader.number<std::uint64_t>("metadata_kv_count");
  reader.require(tensors <= reader.left() / kTensorBytesMin, "tensor_count", "{} tensors do not fit into {} bytes",
                 tensors, reader.left());
  reader.require(keys <= reader.left() / kKeyBytesMin, "metadata_kv_count", "{} keys do not fit into {} bytes", keys,
                 reader.left());
  return {tensors, keys};
}

void read_metadata(Reader& reader, std::uint64_t count, Gguf& file) {
  std::unordered_set<std::string> seen;
  file.metadata.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string key = read_string(reader, fmt::format("key {}", i), kKeyBytesMax);
    reader.require(!key.empty(), "key", "number {} is empty", i);
    reader.require(seen.insert(key).second, key, "appears twice");
    GgufValue value = read_value(reader, key);
    file.metadata.emplace_back(std::move(key), std::move(value));
  }
  if (const GgufValue* alignment = file.find("general.alignment")) {
    const auto* number = std::get_if<std::int64_t>(&alignment->data);
    const bool power = number && std::has_single_bit(static_cast<std::uint64_t>(*number));
    reader.require(alignment->type == GgufType::u32 && power, "general.alignment", "is not a u32 power of two");
    file.alignment = static_cast<std::uint64_t>(*number);
  }
}

GgufTensor read_tensor_info(Reader& reader, std::uint64_t index) {
  GgufTensor tensor;
  tensor.name = read_string(reader, fmt::format("name of tensor {}", index), kKeyBytesMax);
  const auto dimensions = reader.number<std::uint32_t>(tensor.name);
  reader.require(dimensions <= kGgufDimensionsMax, tensor.name, "{} dimensions, at most {} allowed", dimensions,
                 kGgufDimensionsMax);
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const auto size = reader.number<std::int64_t>(tensor.name);
    reader.require(size >= 0, tensor.name, "dimension {} is {}", i, size);
    tensor.shape.insert(tensor.shape.begin(), size);
  }
  tensor.type_id = reader.number<std::uint32_t>(tensor.name);
  tensor.offset = reader.number<std::uint64_t>(tensor.name);
  return tensor;
}

/// Bytes of the tensor, or nullopt when its type is unknown.
std::optional<std::uint64_t> stored_bytes(const Reader& reader, const GgufTensor& tensor) {
  std::uint64_t count = 1;
  for (const std::int64_t size : tensor.shape) {
    const auto product = checked_multiply(count, static_cast<std::uint64_t>(size));
    reader.require(product && *product >> 62 == 0, tensor.name, "its dimensions overflow");
    count = *product;
  }
  const GgmlType* type = ggml_type(tensor.type_id);
  if (!type) return std::nullopt;
  reader.require(type->block_bytes != 0, tensor.name, "element type {} ({}) was removed", type->id, type->name);
  const std::uint64_t row = tensor.shape.empty() ? 1 : static_cast<std::uint64_t>(tensor.shape.back());
  reader.require(row % type->block_length == 0, tensor.name, "rows of {} values, {} needs a multiple of {}", row,
                 type->name, type->block_length);
  const auto bytes = checked_multiply(count / type->block_length, type->block_bytes);
  reader.require(bytes.has_value(), tensor.name, "its size overflows");
  return *bytes;
}

/// Tensors lie one after the other in the order of their infos, each padded to the alignment.
void place_tensors(const Reader& reader, std::uint64_t file_bytes, Gguf& file) {
  const std::uint64_t start = padded(reader.offset(), file.alignment, reader, "tensor data");
  std::uint64_t expected = 0;
  bool known = true;  // false behind a tensor of unknown size: only order can be checked
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    GgufTensor& tensor = file.tensors[i];
    const bool in_place = known ? tensor.offset == expected : tensor.offset >= expected;
    reader.require(in_place && tensor.offset % file.alignment == 0, tensor.name, "data offset {}, {} expected",
                   tensor.offset, expected);
    const auto bytes = stored_bytes(reader, tensor);
    const auto begin = checked_add(start, tensor.offset);
    const bool inside = begin && *begin <= file_bytes && bytes.value_or(0) <= file_bytes - *begin;
    reader.require(inside, tensor.name, "{} bytes at data offset {} exceed the file of {} bytes", bytes.value_or(0),
                   tensor.offset, file_bytes);
    tensor.bytes = bytes.value_or(0);
    expected = padded(tensor.offset + tensor.bytes, file.alignment, reader, tensor.name);
    if (i > 0 && !known) file.tensors[i - 1].bytes = *begin - file.tensors[i - 1].offset;
    known = bytes.has_value();
    tensor.offset = *begin;
  }
  if (!known) file.tensors.back().bytes = file_bytes - file.tensors.back().offset;
}

template <class List, class Name>
auto find_by(const List& list, std::string_view wanted, Name&& name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto& entry) { return name(entry) == wanted; });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

std::string_view to_string(GgufType type) {
  constexpr std::array<std::string_view, 13> kNames{"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                    "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<std::size_t>(type)];
}

const GgufValue* Gguf::find(std::string_view key) const {
  const auto* entry = find_by(metadata, key, [](const auto& pair) { return std::string_view(pair.first); });
  return entry ? &entry->second : nullptr;
}

const GgufTensor* Gguf::find_tensor(std::string_view name) const {
  return find_by(tensors, name, [](const GgufTensor& tensor) { return std::string_view(tensor.name); });
}

std::string ggml_type_name(std::uint32_t type_id) {
  const GgmlType* type = ggml_type(type_id);
  return type ? std::string(type->name) : fmt::format("type {}", type_id);
}

Gguf decode_gguf(Bytes bytes, const std::string& source) {
  Reader reader(bytes, source);
  Gguf file;
  const Counts counts = read_head(reader, file);
  read_metadata(reader, counts.keys, file);
  reader.require(counts.tensors <= reader.left() / kTensorBytesMin, "tensor_count",
                 "{} tensors do not fit into {} bytes", counts.tensors, reader.left());
  std::unordered_set<std::string> seen;
  file.tensors.reserve(counts.tensors);
  for (std::uint64_t i = 0; i < counts.tensors; ++i) {
    file.tensors.push_back(read_tensor_info(reader, i));
    const std::string& name = file.tensors.back().name;
    reader.require(seen.insert(name).second, name, "appears twice");
  }
  place_tensors(reader, bytes.size(), file);
  return file;
}

Tensor gguf_tensor(const GgufTensor& tensor, Bytes file, std::shared_ptr<const void> keeper, const std::string& source) {
  const auto type = type_from_id(tensor.type_id);
  check(type.has_value(), Kind::unsupported, "{}: tensor {}: element type {} is not supported", source, tensor.name,
        ggml_type_name(tensor.type_id));
  return Tensor::borrowed(*type, tensor.shape, file.subspan(tensor.offset, tensor.bytes), std::move(keeper));
}

}  // namespace starling::core
