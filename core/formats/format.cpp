// The table of formats and what they share.
#include "core/formats/format.h"

#include <array>

#include "core/file.h"
#include "core/formats/gguf_llama.h"
#include "core/formats/llama2c.h"
#include "core/formats/sentencepiece_model.h"
#include "core/formats/tokenizer_json.h"

namespace starling::core {

#define FORMAT(name) Format name##_format();
#include "core/formats/all.def"
#undef FORMAT

std::span<const Format> formats() {
  static const std::array kFormats{
#define FORMAT(name) name##_format(),
#include "core/formats/all.def"
#undef FORMAT
  };
  return kFormats;
}

const Format& format_of(const std::filesystem::path& path) {
  const bool folder = std::filesystem::is_directory(path);
  const auto file = folder ? nullptr : MappedFile::open(path);
  std::string known;
  for (const Format& format : formats()) {
    if (format.accepts(path, file ? file->bytes() : Bytes{})) return format;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", format.name);
  }
  fail(Kind::malformed, "{}: no known model format; known: {}", path.string(), known);
}

Vocabulary read_vocabulary_file(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const Bytes bytes = file->bytes();
  constexpr std::string_view kGguf = "GGUF";
  if (bytes.size() >= kGguf.size() && std::memcmp(bytes.data(), kGguf.data(), kGguf.size()) == 0)
    return gguf_vocabulary(decode_gguf(bytes, file->name()), file->name());
  if (path.extension() == ".json") return decode_tokenizer_json(bytes, file->name());
  if (path.extension() == ".model") return decode_sentencepiece_model(bytes, file->name());
  return decode_llama2c_tokenizer(bytes, file->name());
}

std::filesystem::path find_beside(const std::filesystem::path& folder, std::span<const std::string> names,
                                  const std::string& wanted_for) {
  for (const std::string& name : names)
    if (std::filesystem::exists(folder / name)) return folder / name;
  fail(Kind::missing, "{}: no tokenizer beside it (looked for {} in {})", wanted_for, fmt::join(names, ", "),
       folder.empty() ? "." : folder.string());
}

}  // namespace starling::core
