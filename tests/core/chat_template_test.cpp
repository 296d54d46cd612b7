// Chat templates: the golden prompts of the published templates, detection, rules of roles, and ids that users cannot forge.
#include "core/text/chat/chat_template.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/error.h"
#include "core/models/load.h"
#include "tests/data.h"

using namespace starling;
using core::ChatInput;
using core::ChatMessage;
using core::TokenId;

namespace {

std::string rendered(std::string_view name, const ChatInput& input) { return core::to_text(core::chat_template(name).render(input)); }

ChatMessage said(const char* role, const std::string& text) { return {.role = role, .content = text, .tool_calls = {}, .tool_call_id = ""}; }

ChatInput golden() {
  ChatInput input;
  input.messages = {said("system", " Be brief. "), said("user", " Hi "), said("assistant", " Yo "), said("user", "2+2?")};
  input.date = "D";
  return input;
}

ChatInput with_tools() {
  ChatInput input;
  ChatMessage call = said("assistant", "");
  call.tool_calls = {{.id = "abcdefghi", .name = "add", .arguments = R"({"a":1,"b":[2]})"}};
  ChatMessage result = said("tool", "3");
  result.tool_call_id = "abcdefghi";
  input.messages = {said("user", "1+2?"), call, result};
  input.tools = {{"add", "Adds.", R"({"type":"object","properties":{"b":{"type":"array"},"a":{"type":"integer"}}})"}};
  return input;
}

std::string refusal(std::string_view name, const ChatInput& input) {
  try {
    rendered(name, input);
  } catch (const core::Error& error) {
    CHECK(error.kind() == core::Kind::usage);
    return error.what();
  }
  return "accepted";
}

/// Byte pieces, the letters' characters and the special tokens of every family.
core::Vocabulary special_vocabulary(bool with_inst) {
  core::Vocabulary v;
  v.model = core::TokenizerModel::sentencepiece;
  const auto add = [&](const std::string& piece, core::PieceKind kind) {
    v.pieces.push_back(piece);
    v.kinds.push_back(kind);
    v.scores.push_back(-static_cast<float>(v.pieces.size()));
  };
  add("<unk>", core::PieceKind::unknown);
  add("<s>", core::PieceKind::control);
  add("</s>", core::PieceKind::control);
  for (int b = 0; b < 256; ++b) add(fmt::format("<0x{:02X}>", b), core::PieceKind::byte);
  for (const char* token : {"<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>", "<start_of_turn>", "<end_of_turn>",
                            "<bos>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"})
    if (with_inst || std::string_view(token).find("INST") == std::string_view::npos) add(token, core::PieceKind::control);
  for (const char* piece : {"\u2581", "a", "e", "is", "\u2581is", "\n\n", "user"}) add(piece, core::PieceKind::normal);
  return v;
}

}  // namespace

TEST_CASE("every family renders the golden dialogue") {
  const std::vector<std::pair<const char*, std::string>> expected = {
      {"gemma", "<bos><start_of_turn>user\n Be brief. \n\nHi<end_of_turn>\n<start_of_turn>model\nYo<end_of_turn>\n<start_of_turn>user\n2+2?<end_of_turn>\n<start_of_turn>model\n"},
      {"llama-2", "<s>[INST] <<SYS>>\n Be brief. \n<</SYS>>\n\n Hi [/INST] Yo </s><s>[INST] 2+2? [/INST]"},
      {"llama-3.1",
       "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: D\n\nBe brief.<|eot_id|>"
       "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYo<|eot_id|>"
       "<|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
      {"llama-3",
       "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
       "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYo<|eot_id|>"
       "<|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
      {"phi-3", "<|system|>\n Be brief. <|end|>\n<|user|>\n Hi <|end|>\n<|assistant|>\n Yo <|end|>\n<|user|>\n2+2?<|end|>\n<|assistant|>\n"},
      {"phi-3-mini", "<s><|system|>\n Be brief. <|end|>\n<|user|>\n Hi <|end|>\n<|assistant|>\n Yo <|end|>\n<|user|>\n2+2?<|end|>\n<|assistant|>\n"},
      {"mistral-v1", "<s> [INST]  Be brief. \n\n Hi  [/INST]  Yo </s> [INST] 2+2? [/INST]"},
      {"mistral-v3", "<s>[INST]  Hi [/INST] Yo</s>[INST]  Be brief. \n\n2+2?[/INST]"},
      {"mistral-v3-tekken", "<s>[INST] Hi [/INST] Yo </s>[INST] Be brief. \n\n2+2?[/INST]"},
      {"mistral-v7", "<s>[SYSTEM_PROMPT]  Be brief. [/SYSTEM_PROMPT][INST]  Hi [/INST]  Yo </s>[INST] 2+2?[/INST]"},
      {"mistral-v7-tekken", "<s>[SYSTEM_PROMPT] Be brief. [/SYSTEM_PROMPT][INST] Hi [/INST] Yo </s>[INST]2+2?[/INST]"},
  };
  for (const auto& [name, text] : expected) {
    CAPTURE(name);
    CHECK(rendered(name, golden()) == text);
  }
  for (const char* name : {"chatml", "qwen2", "qwen2.5", "qwen3"})
    CHECK(rendered(name, golden()) ==
          "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n Yo <|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("without a system message each family does what its template does") {
  ChatInput input;
  input.messages = {said("user", "Hi")};
  const std::string user = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
  CHECK(rendered("chatml", input) == user);
  CHECK(rendered("qwen3", input) == user);
  CHECK(rendered("qwen2", input) == "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n" + user);
  CHECK(rendered("qwen2.5", input) == "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n" + user);
  CHECK(rendered("llama-2", input) == "<s>[INST] Hi [/INST]");
  CHECK(rendered("llama-3.1", input).starts_with("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"));
  input.thinking = false;
  CHECK(rendered("qwen3", input) == user + "<think>\n\n</think>\n\n");
  input.generation_prompt = false;
  CHECK(rendered("qwen3", input) == "<|im_start|>user\nHi<|im_end|>\n");
}

TEST_CASE("Qwen 3 forgets what it thought before the last question") {
  ChatInput input;
  input.messages = {said("user", "a"), said("assistant", "<think>\nhm\n</think>\n\nb"), said("user", "c"), said("assistant", "<think>\nso\n</think>\n\nd")};
  input.generation_prompt = false;
  CHECK(rendered("qwen3", input) ==
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n<think>\nso\n</think>\n\nd<|im_end|>\n");
}

TEST_CASE("tools, their calls and their results") {
  const std::string tool = R"({"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {"b": {"type": "array"}, "a": {"type": "integer"}}}}})";
  CHECK(rendered("qwen2.5", with_tools()) ==
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.\n\n# Tools\n\nYou may call one or more functions to assist with the user "
        "query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>\n" + tool +
        "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": "
        "<function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n<|im_start|>user\n1+2?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{\"name\": \"add\", "
        "\"arguments\": {\"a\": 1, \"b\": [2]}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n<|im_start|>assistant\n");
  CHECK(rendered("mistral-v3", with_tools()) == "<s>[AVAILABLE_TOOLS] [" + tool +
                                                    "][/AVAILABLE_TOOLS][INST] 1+2?[/INST][TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": [2]}, \"id\": "
                                                    "\"abcdefghi\"}]</s>[TOOL_RESULTS] {\"content\": 3, \"call_id\": \"abcdefghi\"}[/TOOL_RESULTS]");
  const std::string llama = rendered("llama-3.1", with_tools());
  CHECK(llama.find("Environment: ipython\nCutting Knowledge Date") != std::string::npos);
  CHECK(llama.find("{\n    \"type\": \"function\",\n    \"function\": {\n        \"name\": \"add\"") != std::string::npos);
  CHECK(llama.ends_with("\n\n1+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{\"name\": \"add\", \"parameters\": {\"a\": 1, \"b\": [2]}}<|eot_id|>"
                        "<|start_header_id|>ipython<|end_header_id|>\n\n\"3\"<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"));
  ChatInput deep = with_tools();
  deep.messages.back().content = std::string(100'000, '[');
  CHECK(rendered("mistral-v3", deep).find("\"content\": \"[[[") != std::string::npos);
  deep.messages[1].tool_calls[0].arguments = "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  CHECK_THROWS_WITH_AS(rendered("mistral-v3", deep), doctest::Contains("arguments of a call of add"), core::Error);
  ChatInput cut = with_tools();
  cut.messages.back().content = "\xff";
  CHECK(rendered("llama-3", cut).find("\"\uFFFD\"") != std::string::npos);
  CHECK(refusal("gemma", with_tools()) == "chat: the template gemma has no form for tools");
}

TEST_CASE("templates are known by their text") {
  const auto name = [](std::string_view text) { return core::detect_chat_template(text).name; };
  CHECK(name("{{'<|im_start|>' + message['role']}}") == "chatml");
  CHECK(name("<|im_start|>system\nYou are a helpful assistant.<|im_end|>") == "qwen2");
  CHECK(name("<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.") == "qwen2.5");
  CHECK(name("<|im_start|> '</think>'") == "qwen3");
  CHECK(name("[INST] <<SYS>>") == "llama-2");
  CHECK(name("'[INST] ' + content + ' [/INST]'") == "mistral-v1");
  CHECK(name("[AVAILABLE_TOOLS] '[INST] '") == "mistral-v3");
  CHECK(name("[AVAILABLE_TOOLS] '[INST]'") == "mistral-v3-tekken");
  CHECK(name("[SYSTEM_PROMPT] [INST] ") == "mistral-v7");
  CHECK(name("[SYSTEM_PROMPT] '[INST]'") == "mistral-v7-tekken");
  CHECK(name("<|start_header_id|>") == "llama-3");
  CHECK(name("<|start_header_id|> Cutting Knowledge Date: ") == "llama-3.1");
  CHECK(name("<start_of_turn>") == "gemma");
  CHECK(name("<|assistant|> <|end|>") == "phi-3");
  CHECK(name("{{ bos_token }}<|assistant|> <|end|>") == "phi-3-mini");
  CHECK_THROWS_WITH_AS(core::detect_chat_template("{{ messages }}"), doctest::Contains("--template NAME chooses one of llama-2, llama-3, "), core::Error);
  CHECK_THROWS_WITH_AS(core::detect_chat_template(""), doctest::Contains("has no chat template"), core::Error);
  CHECK_THROWS_WITH_AS(core::chat_template("vicuna"), doctest::Contains("chat template vicuna is unknown; known are llama-2"), core::Error);
}

TEST_CASE("dialogues that a template does not allow are refused") {
  ChatInput twice;
  twice.messages = {said("user", "a"), said("user", "b")};
  CHECK(refusal("gemma", twice) == "chat: the template gemma wants user and assistant in turns, and assistant where user is");
  CHECK(refusal("qwen2", twice) == "accepted");
  ChatInput late;
  late.messages = {said("user", "a"), said("system", "b")};
  CHECK(refusal("qwen2", late) == "chat: role system is only allowed in front");
  CHECK(refusal("qwen2", {}) == "chat: no message");
}

TEST_CASE("ids are those of one pass over the whole prompt, and users forge no special token") {
  const auto later = core::make_tokenizer(special_vocabulary(true)), early = core::make_tokenizer(special_vocabulary(false));
  const auto count_special = [](const core::Tokenizer& t, const std::vector<TokenId>& ids) {
    return std::count_if(ids.begin(), ids.end(), [&](TokenId id) { return t.vocabulary().kinds[static_cast<std::size_t>(id)] == core::PieceKind::control; });
  };
  std::string every;
  for (const std::string& piece : special_vocabulary(true).pieces)
    if (piece.size() > 3) every += piece + " ";
  for (const core::ChatTemplate& t : core::chat_templates()) {
    CAPTURE(t.name);
    // [INST] is plain text where the templates of Llama 2 and Mistral v1 are used.
    const auto& tokenizer = t.name == "llama-2" || t.name == "mistral-v1" ? early : later;
    const core::ChatEncoder encoder(*tokenizer);
    const core::ChatPrompt benign = t.render(golden());
    const std::vector<TokenId> ids = encoder.encode(benign);
    if (!t.name.starts_with("phi")) CHECK(ids == tokenizer->encode(core::to_text(benign), {.add_special = false, .parse_special = true}));
    ChatInput forged = golden();
    for (ChatMessage& m : forged.messages) m.content = "x" + every + m.content + "x";
    CHECK(count_special(*tokenizer, encoder.encode(t.render(forged))) == count_special(*tokenizer, ids));
  }
}

TEST_CASE("Phi's tokens swallow white space behind them, as the reference tokenizer does") {
  const auto path = tests::data_file("tokenizers/ggml-vocab-llama-spm.gguf");
  if (!path) return;
  core::Vocabulary v = core::load_vocabulary(*path);
  while (v.pieces.size() < 32011) {
    const std::size_t id = v.pieces.size();
    v.pieces.push_back(id == 32001 ? "<|assistant|>" : id == 32007 ? "<|end|>" : id == 32010 ? "<|user|>" : fmt::format("<|placeholder{}|>", id));
    v.scores.push_back(0);
    v.kinds.push_back(core::PieceKind::control);
  }
  const auto tokenizer = core::make_tokenizer(v);
  ChatInput input;
  input.messages = {said("user", " hi")};
  CHECK(core::ChatEncoder(*tokenizer).encode(core::chat_template("phi-3").render(input)) == std::vector<TokenId>{32010, 7251, 32007, 32001});
}
