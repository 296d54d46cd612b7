// PyTorch's checkpoints before the zip form: files that PyTorch wrote (tests/golden/make_data_corpus.py), and files that
// nobody should have written.
#include "core/formats/torch_pickle.h"

#include <cstring>

#include "core/file.h"
#include "tests/said.h"

using namespace starling;
using namespace starling::core;
using tests::contains;
using tests::said;

namespace {

std::string kept(const std::string& name) {
  return read_text(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/fuzz/corpus/torch_pickle" / name, 1 << 20);
}

Bytes bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string described(const std::string& file) {
  std::string text;
  for (const SafetensorsEntry& e : decode_torch_pickle(bytes(file), "a.th")) text += fmt::format("{} {} ({})\n", e.name, e.dtype, fmt::join(e.shape, ","));
  return text;
}

std::vector<float> floats(const std::string& file, const std::string& name) {
  for (const SafetensorsEntry& e : decode_torch_pickle(bytes(file), "a.th")) {
    if (e.name != name) continue;
    const Tensor tensor = safetensors_tensor(e, bytes(file), nullptr, "a.th");
    return {tensor.floats().begin(), tensor.floats().end()};
  }
  return {};
}

}  // namespace

TEST_CASE("what PyTorch wrote is read: nested, of every number type, views and parameters") {
  CHECK(described(kept("nested.th")) ==
        "state_dict/module.fc.weight F32 (3,2)\nstate_dict/module.fc.bias F32 (3)\nstate_dict/module.bn.num_batches_tracked I64 ()\n");
  CHECK(floats(kept("nested.th"), "state_dict/module.fc.weight") == std::vector<float>{-1, -0.75f, -0.5f, -0.25f, 0, 0.25f});
  CHECK(described(kept("kinds.th")) ==
        "f64 F64 (2)\nf16 F16 (2)\nbf16 BF16 (2)\ni32 I32 (2)\nu8 U8 (2)\nbool BOOL (2)\ni16 I16 (2)\ni8 I8 (2)\nview F32 (2,2)\nall F32 (4,2)\n"
        "scalar F32 ()\nnone F32 (0,3)\n7/momentum F32 (2)\n");
  CHECK(floats(kept("kinds.th"), "view") == std::vector<float>{-0.5f, -0.25f, 0, 0.25f});
  CHECK(floats(kept("kinds.th"), "scalar") == std::vector<float>{2.5f});
  CHECK(described(kept("module_state.th")) == "weight F32 (3,2)\nbias F32 (3)\n");
  CHECK(described(kept("parameter.th")) == "w F32 (3)\n");
  CHECK(described(kept("torch_size.th")) == "w F32 (4)\n");
  CHECK(floats(kept("assembled.th"), "w") == std::vector<float>{1, 2, 3, 4});
}

TEST_CASE("a file is refused at every cut") {
  for (const std::string name : {"nested.th", "assembled.th"}) {
    const std::string file = kept(name);
    for (std::size_t n = 0; n < file.size(); ++n) {
      const std::string message = said([&] { decode_torch_pickle(bytes(file.substr(0, n)), "a.th"); }, Kind::malformed);
      if (message.find("a.th: ") != 0) FAIL_CHECK(name, " cut to ", n, " bytes: ", message);
    }
  }
}

TEST_CASE("no changed byte does more than refuse the file or change it") {
  const std::string file = kept("nested.th");
  for (std::size_t at = 0; at < file.size(); ++at)
    for (const int change : {1, 0x80, 0xff}) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ change);
      try {
        decode_torch_pickle(bytes(changed), "a.th");
      } catch (const Error& error) {
        CHECK(error.kind() != Kind::internal);
      }
    }
}

TEST_CASE("what a pickle may name and say is bounded, and the field is named") {
  const auto message = [](const std::string& name, Kind kind = Kind::malformed) { return said([&] { described(kept(name)); }, kind); };
  CHECK(contains(message("global.th", Kind::unsupported), "the pickle asks for os system, which is not among"));
  CHECK(contains(message("opcode.th", Kind::unsupported), "pickle opcode 0x69 at offset"));
  CHECK(contains(message("protocol.th", Kind::unsupported), "pickle protocol 4"));
  CHECK(contains(message("version.th", Kind::unsupported), "protocol version 1000"));
  CHECK(contains(message("big_endian.th", Kind::unsupported), "little_endian is not True"));
  CHECK(contains(message("no_dict.th", Kind::unsupported), "something else than a dict"));
  CHECK(contains(message("transposed.th", Kind::unsupported), "tensor w: strides (1, 2) of sizes (2, 3) are not contiguous"));
  CHECK(contains(message("stride.th", Kind::unsupported), "tensor w: strides (2)"));
  CHECK(contains(message("storage_view.th", Kind::unsupported), "storage '0' is a view"));
  CHECK(contains(message("text.th"), "BINUNICODE at offset"));
  CHECK(contains(message("long.th"), "LONG1 at offset"));
  CHECK(contains(message("get.th"), "GET at offset"));
  CHECK(contains(message("call.th"), "REDUCE at offset"));
  CHECK(contains(message("empty_stack.th"), "STOP at offset"));
  CHECK(contains(message("overflow.th"), "tensor w: sizes (1073741824, 1073741824, 1073741824) overflow"));
  CHECK(contains(message("beyond.th"), "tensor w: 4 values from 1 on, its storage has 4"));
  CHECK(contains(message("size.th"), "tensor w: a size, stride or offset is no size"));
  CHECK(contains(message("nine_sizes.th"), "tensor w: its sizes are no tuple of up to 8"));
  CHECK(contains(message("storage_count.th"), "storage '0': its count is no size"));
  CHECK(contains(message("storage_twice.th"), "storage '0' is described in two ways"));
  CHECK(contains(message("count.th"), "storage count at offset"));
  CHECK(contains(message("missing.th"), "storage '0' has no values in the file"));
  CHECK(contains(message("trailing.th"), "1 bytes follow the last storage"));
  CHECK(contains(message("deep.th"), "more than 16 deep"));
  CHECK(contains(message("itself.th"), "more than 16 deep"));
  CHECK(contains(message("doubling.th"), "more than 262144 values in dicts"));
  CHECK(contains(message("twice.th"), "tensor w comes twice"));
  CHECK(contains(message("not_torch.th"), "magic"));
}

TEST_CASE("a file of nothing but values or marks stops at a bound") {
  const std::string start = kept("empty_stack.th");  // ends where the object begins, with PROTO 2 and STOP
  const auto with = [&](const std::string& object) { return said([&] { described(start.substr(0, start.size() - 1) + object); }, Kind::malformed); };
  CHECK(contains(with(std::string(2 << 20, 'N')), "pickle at offset"));
  CHECK(contains(with(std::string(2 << 20, '(')), "MARK at offset"));
  std::string gets = "Nq";
  gets += '\0';
  for (int i = 0; i < 1 << 20; ++i) gets += std::string("h\0", 2);
  CHECK(contains(with(gets), "values on the stack"));
}
