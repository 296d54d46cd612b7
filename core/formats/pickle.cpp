#include "core/formats/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>

namespace starling::core {
namespace {

using Value = PickleValue::Kind;

constexpr std::size_t kValuesMax = 1 << 20, kStackMax = 1 << 20, kItemsMax = 1 << 22, kTextMax = 1 << 16;
constexpr std::string_view kOrderedDict = "collections OrderedDict";

class Machine {
 public:
  Machine(Reader& reader, std::span<const std::string_view> globals) : reader_(reader), globals_(globals) {}

  Pickle run() {
    for (;;) {
      const auto op = static_cast<char>(reader_.number<std::uint8_t>("pickle opcode"));
      if (op == '.') break;
      if (!scalar(op) && !container(op) && !object(op)) fail(Kind::unsupported, "{}: pickle opcode 0x{:02x} at offset {}", reader_.source(), op & 0xff, reader_.offset() - 1);
    }
    result_.root = pop("STOP");
    if (!stack_.empty() || !marks_.empty()) reader_.malformed("STOP", "{} values are left over", stack_.size());
    return std::move(result_);
  }

 private:
  PickleValue& push(Value kind) {
    reader_.require(result_.values.size() < kValuesMax, "pickle", "more than {} values", kValuesMax);
    push(static_cast<PickleRef>(result_.values.size()));
    result_.values.emplace_back().kind = kind;
    return result_.values.back();
  }
  void push(PickleRef ref) {
    reader_.require(stack_.size() < kStackMax, "pickle", "more than {} values on the stack", kStackMax);
    stack_.push_back(ref);
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleRef pop(std::string_view op) {
    const PickleRef ref = top(op);
    stack_.pop_back();
    return ref;
  }
  PickleRef top(std::string_view op) {
    reader_.require(stack_.size() > floor(), op, "the stack is empty");
    return stack_.back();
  }
  /// What is on the stack above the last mark.
  std::vector<PickleRef> pop_mark(std::string_view op) {
    reader_.require(!marks_.empty(), op, "there is no mark");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleRef> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  PickleValue& top_of_kind(std::string_view op, Value kind) {
    PickleValue& value = result_.values[top(op)];
    reader_.require(value.kind == kind, op, "the value below is none that can take items");
    return value;
  }
  void add_items(std::string_view op, Value kind, std::span<const PickleRef> items) {
    PickleValue& to = top_of_kind(op, kind);
    reader_.require(kind != Value::dict || items.size() % 2 == 0, op, "a key without a value");
    reader_.require((items_ += items.size()) <= kItemsMax, "pickle", "more than {} items", kItemsMax);
    to.items.insert(to.items.end(), items.begin(), items.end());
  }

  void push_integer(std::int64_t value) { push(Value::integer).integer = value; }
  void push_text(std::uint64_t length, std::string_view op) {
    reader_.require(length <= kTextMax, op, "{} bytes, at most {} allowed", length, kTextMax);
    push(Value::text).text = reader_.text(length, op);
  }
  void push_long() {
    const auto length = reader_.number<std::uint8_t>("LONG1");
    reader_.require(length <= 8, "LONG1", "{} bytes, at most 8 allowed", length);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < length; ++i) value |= std::uint64_t{reader_.number<std::uint8_t>("LONG1")} << (8 * i);
    if (length > 0 && length < 8 && value >> (8 * length - 1) != 0) value |= ~std::uint64_t{0} << (8 * length);
    push_integer(static_cast<std::int64_t>(value));
  }
  void push_number() {
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits = bits << 8 | reader_.number<std::uint8_t>("BINFLOAT");
    push(Value::number).number = std::bit_cast<double>(bits);
  }

  bool scalar(char op) {
    switch (op) {
      case '\x80': {
        const auto protocol = reader_.number<std::uint8_t>("PROTO");
        check(protocol == 2, Kind::unsupported, "{}: pickle protocol {}, expected 2", reader_.source(), protocol);
        return true;
      }
      case 'N': push(Value::none); return true;
      case '\x88': push(Value::boolean).integer = 1; return true;
      case '\x89': push(Value::boolean); return true;
      case 'J': push_integer(reader_.number<std::int32_t>("BININT")); return true;
      case 'K': push_integer(reader_.number<std::uint8_t>("BININT1")); return true;
      case 'M': push_integer(reader_.number<std::uint16_t>("BININT2")); return true;
      case '\x8a': push_long(); return true;
      case 'G': push_number(); return true;
      case 'X': push_text(reader_.number<std::uint32_t>("BINUNICODE"), "BINUNICODE"); return true;
      case 'U': push_text(reader_.number<std::uint8_t>("SHORT_BINSTRING"), "SHORT_BINSTRING"); return true;
      default: return false;
    }
  }

  void push_tuple(std::vector<PickleRef> items) {
    reader_.require((items_ += items.size()) <= kItemsMax, "pickle", "more than {} items", kItemsMax);
    push(Value::tuple).items = std::move(items);
  }
  void push_tuple(std::size_t count) {
    std::vector<PickleRef> items(count);
    for (std::size_t i = count; i > 0; --i) items[i - 1] = pop("TUPLE");
    push_tuple(std::move(items));
  }

  bool container(char op) {
    switch (op) {
      case '(': reader_.require(marks_.size() < kStackMax, "MARK", "more than {} marks", kStackMax); marks_.push_back(stack_.size()); return true;
      case ')': push(Value::tuple); return true;
      case ']': push(Value::list); return true;
      case '}': push(Value::dict); return true;
      case 't': push_tuple(pop_mark("TUPLE")); return true;
      case '\x85': case '\x86': case '\x87': push_tuple(static_cast<std::size_t>(op - '\x84')); return true;
      case 'a': {
        const PickleRef item = pop("APPEND");
        add_items("APPEND", Value::list, {&item, 1});
        return true;
      }
      case 'e': add_items("APPENDS", Value::list, pop_mark("APPENDS")); return true;
      case 's': {
        const PickleRef value = pop("SETITEM");
        const std::array<PickleRef, 2> item{pop("SETITEM"), value};
        add_items("SETITEM", Value::dict, item);
        return true;
      }
      case 'u': add_items("SETITEMS", Value::dict, pop_mark("SETITEMS")); return true;
      default: return false;
    }
  }

  std::string line(std::string_view op) {
    std::string text;
    for (char c; (c = static_cast<char>(reader_.number<std::uint8_t>(op))) != '\n';) {
      reader_.require(text.size() < 256 && c >= ' ' && c <= '~', op, "is no name");
      text += c;
    }
    return text;
  }
  void push_global() {
    const std::string module = line("GLOBAL"), name = module + " " + line("GLOBAL");
    check(name == kOrderedDict || std::find(globals_.begin(), globals_.end(), name) != globals_.end(), Kind::unsupported,
          "{}: the pickle asks for {}, which is not among what may be named: {} {}", reader_.source(), name, kOrderedDict, fmt::join(globals_, ", "));
    push(Value::global).text = name;
  }
  void reduce() {
    const PickleRef arguments = pop("REDUCE"), function = pop("REDUCE");
    const PickleValue& called = result_.values[function];
    reader_.require(called.kind == Value::global && result_.values[arguments].kind == Value::tuple, "REDUCE", "is no call of a global with a tuple");
    if (called.text == kOrderedDict) {
      reader_.require(result_.values[arguments].items.empty(), "REDUCE", "OrderedDict has arguments, expected none");
      push(Value::dict);
      return;
    }
    push(Value::call).items = {function, arguments};
  }
  void put(std::uint32_t index) {
    memo_[index] = top("PUT");
    reader_.require(memo_.size() <= kValuesMax, "PUT", "more than {} values kept", kValuesMax);
  }
  void get(std::uint32_t index) {
    const auto kept = memo_.find(index);
    reader_.require(kept != memo_.end(), "GET", "{} was never put", index);
    push(kept->second);
  }

  bool object(char op) {
    switch (op) {
      case 'c': push_global(); return true;
      case 'R': reduce(); return true;
      case 'b': pop("BUILD"); top("BUILD"); return true;
      case 'Q': {
        const PickleRef id = pop("BINPERSID");
        push(Value::persistent).items = {id};
        return true;
      }
      case 'q': put(reader_.number<std::uint8_t>("BINPUT")); return true;
      case 'r': put(reader_.number<std::uint32_t>("LONG_BINPUT")); return true;
      case 'h': get(reader_.number<std::uint8_t>("BINGET")); return true;
      case 'j': get(reader_.number<std::uint32_t>("LONG_BINGET")); return true;
      default: return false;
    }
  }

  Reader& reader_;
  std::span<const std::string_view> globals_;
  Pickle result_;
  std::vector<PickleRef> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, PickleRef> memo_;
  std::size_t items_ = 0;
};

}  // namespace

Pickle read_pickle(Reader& reader, std::span<const std::string_view> globals) { return Machine(reader, globals).run(); }

}  // namespace starling::core
