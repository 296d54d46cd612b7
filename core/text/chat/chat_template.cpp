#include "core/text/chat/chat_template.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace starling::core {

#define CHAT_TEMPLATE(function, name, style, summary) ChatPrompt function(const ChatInput& input);
namespace chat {
#include "core/text/chat/all.def"
}  // namespace chat
#undef CHAT_TEMPLATE

namespace {

constexpr ChatTemplate kTemplates[] = {
#define CHAT_TEMPLATE(function, name, style, summary) {name, summary, ToolCallStyle::style, chat::function},
#include "core/text/chat/all.def"
#undef CHAT_TEMPLATE
};

std::string known_names() {
  std::string names;
  for (const ChatTemplate& t : kTemplates) names.append(names.empty() ? "" : ", ").append(t.name);
  return names;
}

std::string_view detected(std::string_view text) {
  const auto has = [&](std::string_view what) { return text.find(what) != std::string_view::npos; };
  if (has("<|im_start|>")) {
    if (has("</think>")) return "qwen3";
    if (has("You are Qwen, created by Alibaba Cloud")) return "qwen2.5";
    return has("You are a helpful assistant") ? "qwen2" : "chatml";
  }
  // The v7 and v3 forms of the two tokenizers differ in the space behind [INST].
  if (has("[SYSTEM_PROMPT]")) return has("[INST] ") ? "mistral-v7" : "mistral-v7-tekken";
  if (has("[INST]")) {
    if (has("<<SYS>>")) return "llama-2";
    if (has("[AVAILABLE_TOOLS]")) return has("[INST] ") ? "mistral-v3" : "mistral-v3-tekken";
    return "mistral-v1";
  }
  if (has("<|start_header_id|>")) return has("Cutting Knowledge Date") ? "llama-3.1" : "llama-3";
  if (has("<start_of_turn>")) return "gemma";
  if (has("<|assistant|>") && has("<|end|>")) return has("bos_token") ? "phi-3-mini" : "phi-3";
  return {};
}

}  // namespace

std::span<const ChatTemplate> chat_templates() { return kTemplates; }

const ChatTemplate& chat_template(std::string_view name) {
  for (const ChatTemplate& t : kTemplates)
    if (t.name == name) return t;
  fail(Kind::usage, "chat template {} is unknown; known are {}", name, known_names());
}

const ChatTemplate& detect_chat_template(std::string_view text) {
  check(!text.empty(), Kind::unsupported, "the model file has no chat template; --template NAME chooses one of {}", known_names());
  const std::string_view name = detected(text);
  check(!name.empty(), Kind::unsupported, "the chat template of the model file is none of the known ones; --template NAME chooses one of {}", known_names());
  return chat_template(name);
}

std::string to_text(const ChatPrompt& prompt) {
  std::string text;
  for (const ChatPiece& piece : prompt) text += piece.text;
  return text;
}

ChatEncoder::ChatEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  const Vocabulary& v = tokenizer.vocabulary();
  for (std::size_t id = 0; id < v.pieces.size(); ++id)
    if (v.kinds[id] == PieceKind::control || v.kinds[id] == PieceKind::user_defined) ids_.emplace(v.pieces[id], static_cast<TokenId>(id));
}

TokenId ChatEncoder::special(const ChatPiece& piece) const {
  const Vocabulary& v = tokenizer_.vocabulary();
  if (piece.kind == ChatPiece::Kind::text) return -1;
  if (const auto found = ids_.find(piece.text); found != ids_.end()) return found->second;
  if (piece.kind == ChatPiece::Kind::bos) return v.bos.value_or(-1);
  if (piece.kind == ChatPiece::Kind::eos) return v.eos.value_or(-1);
  return -1;
}

std::vector<TokenId> ChatEncoder::encode(const ChatPrompt& prompt) const {
  std::vector<TokenId> ids;
  std::string text;
  bool strip = false;  // the special token before swallows white space
  const auto flush = [&] {
    if (strip) text.erase(0, std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
    strip = false;
    const std::vector<TokenId> more = tokenizer_.encode(text, {.add_special = false, .parse_special = false});
    ids.insert(ids.end(), more.begin(), more.end());
    text.clear();
  };
  for (const ChatPiece& piece : prompt) {
    const TokenId id = special(piece);
    if (id < 0) {
      text += piece.text;
      continue;
    }
    flush();
    ids.push_back(id);
    strip = piece.kind == ChatPiece::Kind::special_strip;
  }
  flush();
  return ids;
}

}  // namespace starling::core
