// Fuzz target: dialogues in every chat template, and calls of tools in what a model writes. Input: the template's number,
// flags, and records of kind (see below), length of two bytes and text. Users must forge no special token, and a streamed
// answer is cut as a whole one.
// covers: core/text/chat/chat_template.cpp core/text/chat/chatml.cpp core/text/chat/gemma.cpp core/text/chat/llama.cpp core/text/chat/mistral.cpp core/text/chat/phi.cpp core/text/chat/prompt_writer.cpp core/text/chat/tool_calls.cpp
#include <algorithm>
#include <string>

#include "core/text/chat/chat_template.h"
#include "core/text/grammar/grammar.h"
#include "tests/fuzz/target.h"

namespace {

using namespace starling::core;

constexpr const char* kSpecial[] = {"<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>",
                                    "<start_of_turn>", "<end_of_turn>", "<bos>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[TOOL_CALLS]", "<|user|>",
                                    "<|assistant|>", "<|system|>", "<|end|>", "<|endoftext|>"};

const Tokenizer& tokenizer() {
  static const auto made = [] {
    Vocabulary v;
    v.model = TokenizerModel::sentencepiece;
    const auto add = [&](const std::string& piece, PieceKind kind) {
      v.pieces.push_back(piece);
      v.kinds.push_back(kind);
      v.scores.push_back(-static_cast<float>(v.pieces.size()));
    };
    add("<unk>", PieceKind::unknown);
    add("<s>", PieceKind::control);
    add("</s>", PieceKind::control);
    for (int b = 0; b < 256; ++b) add(fmt::format("<0x{:02X}>", b), PieceKind::byte);
    for (const char* token : kSpecial) add(token, PieceKind::control);
    return make_tokenizer(std::move(v));
  }();
  return *made;
}

struct Input {
  ChatInput chat;
  std::string detect;
  std::size_t form = 0;
};

/// Kinds: 0 system, 1 user, 2 assistant, 3 tool, 4 an odd role, 5 arguments of a call by the last message, 6 a tool's
/// parameters, 7 text that a template is recognised in.
Input read(std::string_view data) {
  Input in;
  const auto byte = [&] {
    if (data.empty()) return 0;
    const int value = static_cast<unsigned char>(data[0]);
    data.remove_prefix(1);
    return value;
  };
  in.form = static_cast<std::size_t>(byte()) % chat_templates().size();
  const int flags = byte();
  in.chat.generation_prompt = !(flags & 1);
  in.chat.thinking = !(flags & 2);
  if (flags & 4) in.chat.date = "1 Jan 2030";
  constexpr const char* kRoles[] = {"system", "user", "assistant", "tool", "oracle"};
  while (!data.empty()) {
    const int kind = byte() % 8;
    const int low = byte();
    const std::string text(data.substr(0, static_cast<std::size_t>(low + 256 * byte())));
    data.remove_prefix(text.size());
    if (kind <= 4) in.chat.messages.push_back({kRoles[kind], text, {}, kind == 3 ? "abcdefghi" : ""});
    else if (kind == 5 && !in.chat.messages.empty()) in.chat.messages.back().tool_calls.push_back({"abcdefghi", "add", text});
    else if (kind == 6) in.chat.tools.push_back({"add", text.size() % 2 ? "Adds." : "", text});
    else if (kind == 7) in.detect = text;
  }
  return in;
}

void check_prompt(const ChatTemplate& form, const ChatInput& chat) {
  const ChatPrompt prompt = form.render(chat);
  const Vocabulary& v = tokenizer().vocabulary();
  const auto control = [&](TokenId id) { return v.kinds[static_cast<std::size_t>(id)] == PieceKind::control; };
  std::int64_t special = 0;
  for (const ChatPiece& piece : prompt)
    special += piece.kind != ChatPiece::Kind::text && std::find(v.pieces.begin(), v.pieces.end(), piece.text) != v.pieces.end();
  const std::vector<TokenId> ids = ChatEncoder(tokenizer()).encode(prompt);
  ensure(std::count_if(ids.begin(), ids.end(), control) == special, "a text became a special token, or one was lost");
  const std::vector<TokenId> trusting = tokenizer().encode(to_text(prompt), {.add_special = false, .parse_special = true});
  ensure(std::count_if(trusting.begin(), trusting.end(), control) >= special, "the prompt as a text lost a special token");
}

/// What a parser of calls makes of pieces of `length` bytes.
ToolCallParser::Output parsed(ToolCallStyle style, std::string_view text, std::size_t length) {
  ToolCallParser parser(style);
  ToolCallParser::Output all;
  const auto add = [&](const ToolCallParser::Output& out) {
    all.text += out.text;
    all.calls.insert(all.calls.end(), out.calls.begin(), out.calls.end());
  };
  for (std::size_t at = 0; at < text.size(); at += length) add(parser.push(text.substr(at, length)));
  add(parser.finish());
  return all;
}

void check_answer(ToolCallStyle style, std::string_view text) {
  const auto whole = parsed(style, text, std::max<std::size_t>(text.size(), 1));
  for (const std::size_t length : {std::size_t{1}, std::size_t{5}}) {
    const auto pieces = parsed(style, text, length);
    ensure(pieces.text == whole.text && pieces.calls == whole.calls, "an answer in pieces is cut otherwise than a whole one");
  }
  for (const ToolCall& call : whole.calls) ensure(OrderedJson::accept(call.arguments), "the arguments of a call are no JSON");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Input in = read({reinterpret_cast<const char*>(data), size});
  const ChatTemplate& form = chat_templates()[in.form];
  starling::tests::refuse_politely([&] { check_prompt(form, in.chat); });
  for (const ChatMessage& m : in.chat.messages) check_answer(form.calls, m.content);
  starling::tests::refuse_politely([&] { Grammar::parse(tool_call_grammar(form.calls, in.chat.tools, in.chat.generation_prompt)); });
  starling::tests::refuse_politely([&] { detect_chat_template(in.detect); });
  starling::tests::refuse_politely([&] { chat_template(in.detect); });
  return 0;
}
