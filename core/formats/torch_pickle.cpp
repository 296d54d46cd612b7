#include "core/formats/torch_pickle.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/formats/pickle.h"

namespace starling::core {
namespace {

using Value = PickleValue::Kind;

struct StorageType {
  std::string_view global, dtype;
  std::uint64_t bytes;
};
constexpr std::array kStorages{
    StorageType{"torch FloatStorage", "F32", 4}, StorageType{"torch DoubleStorage", "F64", 8},  StorageType{"torch HalfStorage", "F16", 2},
    StorageType{"torch LongStorage", "I64", 8},  StorageType{"torch BFloat16Storage", "BF16", 2}, StorageType{"torch IntStorage", "I32", 4},
    StorageType{"torch ShortStorage", "I16", 2}, StorageType{"torch CharStorage", "I8", 1},     StorageType{"torch ByteStorage", "U8", 1},
    StorageType{"torch BoolStorage", "BOOL", 1},
};
constexpr std::string_view kTensor = "torch._utils _rebuild_tensor", kTensor2 = "torch._utils _rebuild_tensor_v2",
                           kParameter = "torch._utils _rebuild_parameter", kSize = "torch Size";
constexpr std::size_t kPickleDimensionsMax = 8, kDepthMax = 16, kVisitsMax = 1 << 18, kNameMax = 256;

/// PROTO 2, LONG1 0x1950a86a20f9469cfc6c, STOP.
constexpr std::array<unsigned char, 15> kMagic{0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

struct Storage {
  const StorageType* type;
  std::uint64_t count;
  std::uint64_t offset = 0;  // in the file
  bool placed = false;
};

class Checkpoint {
 public:
  Checkpoint(Bytes file, const std::string& source) : reader_(file, source), source_(source) {}

  std::vector<SafetensorsEntry> read() {
    reader_.take(kMagic.size(), "magic");
    const Pickle version = read_pickle(reader_, {});
    check(version.at(version.root).integer == 1001, Kind::unsupported, "{}: protocol version {}, expected 1001", source_, version.at(version.root).integer);
    read_machine();
    std::vector<std::string_view> globals{kTensor, kTensor2, kParameter, kSize};
    for (const StorageType& type : kStorages) globals.push_back(type.global);
    object_ = read_pickle(reader_, globals);
    for (const PickleValue& value : object_.values)
      if (value.kind == Value::persistent) add_storage(value);
    place_storages();
    check(object_.at(object_.root).kind == Value::dict, Kind::unsupported, "{}: holds something else than a dict of tensors", source_);
    walk(object_.at(object_.root), "", 0);
    return std::move(entries_);
  }

 private:
  template <class... Args>
  [[noreturn]] void malformed(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Kind::malformed, "{}: {}", source_, fmt::format(format, std::forward<Args>(args)...));
  }

  void read_machine() {
    const Pickle machine = read_pickle(reader_, {});
    const PickleValue& facts = machine.at(machine.root);
    if (facts.kind != Value::dict) malformed("the machine's description is no dict");
    for (std::size_t i = 0; i < facts.items.size(); i += 2)
      if (machine.at(facts.items[i]).text == "little_endian" && machine.at(facts.items[i + 1]).integer == 1) return;
    fail(Kind::unsupported, "{}: little_endian is not True", source_);
  }

  /// The id ("storage", type, key, device, count, view) of a storage.
  const std::vector<PickleRef>& storage_id(const PickleValue& persistent) const {
    const PickleValue& id = object_.at(persistent.items[0]);
    if (id.kind != Value::tuple || id.items.size() < 5 || object_.at(id.items[0]).text != "storage") malformed("a persistent id is none of a storage");
    if (object_.at(id.items[2]).kind != Value::text) malformed("a storage's key is no text");
    return id.items;
  }
  void add_storage(const PickleValue& persistent) {
    const std::vector<PickleRef>& id = storage_id(persistent);
    const std::string &type = object_.at(id[1]).text, &key = object_.at(id[2]).text;
    const auto known = std::find_if(kStorages.begin(), kStorages.end(), [&](const StorageType& t) { return t.global == type; });
    if (known == kStorages.end()) malformed("storage '{}' has type '{}'", printable(key), printable(type));
    const PickleValue& count = object_.at(id[4]);
    if (count.kind != Value::integer || count.integer < 0) malformed("storage '{}': its count is no size", printable(key));
    check(id.size() == 5 || object_.at(id[5]).kind == Value::none, Kind::unsupported, "{}: storage '{}' is a view of another", source_, printable(key));
    const Storage storage{&*known, static_cast<std::uint64_t>(count.integer)};
    const auto [place, fresh] = storages_.emplace(key, storage);
    if (!fresh && (place->second.type != storage.type || place->second.count != storage.count)) malformed("storage '{}' is described in two ways", printable(key));
  }

  void place_storages() {
    const Pickle keys = read_pickle(reader_, {});
    const PickleValue& list = keys.at(keys.root);
    if (list.kind != Value::list) malformed("the storages' keys are no list");
    for (const PickleRef ref : list.items) {
      const std::string& key = keys.at(ref).text;
      const auto found = storages_.find(key);
      if (found == storages_.end() || found->second.placed) malformed("storage key '{}' belongs to no storage, or comes twice", printable(key));
      Storage& storage = found->second;
      const auto count = reader_.number<std::uint64_t>("storage count");
      reader_.require(count == storage.count, "storage count", "is {}, the storage '{}' has {}", count, printable(key), storage.count);
      reader_.require(count <= reader_.left() / storage.type->bytes, "storage", "'{}' has {} values of {} bytes, {} bytes left", printable(key), count,
                      storage.type->bytes, reader_.left());
      storage.offset = reader_.offset();
      reader_.take(count * storage.type->bytes, "storage");
      storage.placed = true;
    }
    for (const auto& [key, storage] : storages_)
      if (!storage.placed) malformed("storage '{}' has no values in the file", printable(key));
    if (reader_.left() > 0) malformed("{} bytes follow the last storage", reader_.left());
  }

  void walk(const PickleValue& dict, const std::string& path, std::size_t depth) {
    if (depth > kDepthMax) malformed("dicts lie in each other more than {} deep", kDepthMax);
    for (std::size_t i = 0; i < dict.items.size(); i += 2) {
      if (++visits_ > kVisitsMax) malformed("more than {} values in dicts", kVisitsMax);
      const PickleValue &key = object_.at(dict.items[i]), &value = object_.at(dict.items[i + 1]);
      if (value.kind != Value::dict && value.kind != Value::call) continue;
      if (key.kind != Value::text && key.kind != Value::integer) malformed("a key below '{}' is neither text nor number", path);
      const std::string name = path + (key.kind == Value::text ? printable(key.text) : std::to_string(key.integer));
      if (name.size() > kNameMax) malformed("a name is longer than {} characters", kNameMax);
      if (value.kind == Value::dict) walk(value, name + "/", depth + 1);
      else add_tensor(name, value);
    }
  }

  const std::vector<PickleRef>& arguments(const PickleValue& call) const { return object_.at(call.items[1]).items; }

  void add_tensor(const std::string& name, const PickleValue& call) {
    const PickleValue* made = &call;
    if (object_.at(made->items[0]).text == kParameter && !arguments(*made).empty()) made = &object_.at(arguments(*made)[0]);
    const bool tensor = made->kind == Value::call && (object_.at(made->items[0]).text == kTensor || object_.at(made->items[0]).text == kTensor2);
    if (!tensor) return;
    const std::vector<PickleRef>& a = arguments(*made);
    if (a.size() < 4 || object_.at(a[0]).kind != Value::persistent) malformed("tensor {}: its storage, offset, sizes and strides are not given", name);
    const Storage& storage = storages_.at(object_.at(storage_id(object_.at(a[0]))[2]).text);
    const Shape offset = sizes(a[1], name), shape = sizes(a[2], name), strides = sizes(a[3], name);
    if (strides.size() != shape.size()) malformed("tensor {}: {} sizes and {} strides", name, shape.size(), strides.size());
    std::uint64_t count = 1;
    for (std::size_t d = shape.size(); d > 0; --d) {
      const std::int64_t size = shape[d - 1];
      check(size <= 1 || strides[d - 1] == static_cast<std::int64_t>(count), Kind::unsupported, "{}: tensor {}: strides ({}) of sizes ({}) are not contiguous", source_,
            name, fmt::join(strides, ", "), fmt::join(shape, ", "));
      const auto product = checked_multiply(count, static_cast<std::uint64_t>(size));
      if (!product || *product >> 62 != 0) malformed("tensor {}: sizes ({}) overflow", name, fmt::join(shape, ", "));
      count = *product;
    }
    const auto begin = static_cast<std::uint64_t>(offset[0]);
    if (begin > storage.count || count > storage.count - begin)
      malformed("tensor {}: {} values from {} on, its storage has {}", name, count, begin, storage.count);
    if (!names_.insert(name).second) malformed("tensor {} comes twice", name);
    entries_.push_back({name, std::string(storage.type->dtype), shape, storage.offset + begin * storage.type->bytes, count * storage.type->bytes});
  }

  /// A tuple of numbers that are not negative, perhaps as torch.Size; or one such number.
  Shape sizes(PickleRef ref, const std::string& name) const {
    const PickleValue* value = &object_.at(ref);
    if (value->kind == Value::call && object_.at(value->items[0]).text == kSize && arguments(*value).size() == 1) value = &object_.at(arguments(*value)[0]);
    const std::vector<PickleRef> single{ref};
    const std::vector<PickleRef>& items = value->kind == Value::integer ? single : value->items;
    if ((value->kind != Value::tuple && value->kind != Value::integer) || items.size() > kPickleDimensionsMax) malformed("tensor {}: its sizes are no tuple of up to {}", name, kPickleDimensionsMax);
    Shape result;
    for (const PickleRef item : items) {
      if (object_.at(item).kind != Value::integer || object_.at(item).integer < 0) malformed("tensor {}: a size, stride or offset is no size", name);
      result.push_back(object_.at(item).integer);
    }
    return result;
  }

  static std::string printable(const std::string& text) {
    constexpr std::size_t kShown = 256;
    std::string result = text.substr(0, kShown);
    for (char& c : result)
      if (c < ' ' || c > '~') c = '?';
    return result;
  }

  Reader reader_;
  const std::string& source_;
  Pickle object_;
  std::map<std::string, Storage> storages_;
  std::set<std::string> names_;
  std::size_t visits_ = 0;
  std::vector<SafetensorsEntry> entries_;
};

}  // namespace

bool is_torch_pickle(Bytes file) {
  return file.size() >= kMagic.size() && std::equal(kMagic.begin(), kMagic.end(), reinterpret_cast<const unsigned char*>(file.data()));
}

std::vector<SafetensorsEntry> decode_torch_pickle(Bytes file, const std::string& source) {
  check(is_torch_pickle(file), Kind::malformed, "{}: magic is not that of a PyTorch checkpoint before its zip form", source);
  return Checkpoint(file, source).read();
}

}  // namespace starling::core
