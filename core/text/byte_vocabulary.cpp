#include "core/text/byte_vocabulary.h"

#include <fmt/format.h>

namespace starling::core {

Vocabulary byte_vocabulary() {
  Vocabulary v;
  v.model = TokenizerModel::sentencepiece;
  const auto add = [&](std::string piece, PieceKind kind) {
    v.pieces.push_back(std::move(piece));
    v.scores.push_back(0);
    v.kinds.push_back(kind);
  };
  add("<unk>", PieceKind::unknown);
  add("<s>", PieceKind::control);
  add("</s>", PieceKind::control);
  for (int byte = 0; byte < 256; ++byte) add(fmt::format("<0x{:02X}>", byte), PieceKind::byte);
  add("\xE2\x96\x81", PieceKind::normal);
  v.unknown = 0;
  v.bos = kByteBos;
  v.eos = 2;
  v.add_bos = true;
  v.add_eos = false;
  v.add_space_prefix = false;
  v.remove_extra_whitespaces = false;
  return v;
}

}  // namespace starling::core
