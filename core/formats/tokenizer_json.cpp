#include "core/formats/tokenizer_json.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/formats/json_fields.h"
#include "core/formats/pre_tokenizer_names.h"

namespace starling::core {
namespace {

constexpr JsonLimits kLimits{.bytes_max = std::uint64_t{64} << 20, .depth_max = 32};
constexpr std::int64_t kTokensMax = std::int64_t{1} << 24;
constexpr std::int64_t kHolesMax = 4096;  // ids that no token has
constexpr float kNeverMergedScore = -1e9f;

using Ids = std::unordered_map<std::string, TokenId>;

struct AddedToken {
  std::int64_t id;
  std::string content;
  bool special;
};

std::vector<AddedToken> read_added(const JsonFields& root, const std::string& source) {
  std::vector<AddedToken> added;
  for (const auto& entry : root.list("added_tokens")) {
    const JsonFields fields(entry, source, fmt::format("added_tokens[{}]", added.size()));
    added.push_back({fields.required_integer("id"), fields.required_text("content"),
                     fields.boolean("special").value_or(false)});
  }
  return added;
}

/// Pieces by id, from the model's vocabulary and the added tokens; ids that nobody has become unused pieces.
void read_pieces(const JsonFields& model, const std::vector<AddedToken>& added, const std::string& source, Vocabulary& v) {
  const auto* tokens = model.find("vocab");
  model.require(tokens && tokens->is_object(), "vocab", "is no object of tokens");
  std::vector<std::pair<std::int64_t, std::string>> entries;
  for (const auto& [token, id] : tokens->items()) {
    model.require(id.is_number_integer(), "vocab", "has no number for \"{}\"", token);
    entries.emplace_back(id.get<std::int64_t>(), token);
  }
  for (const AddedToken& token : added)
    if (!tokens->contains(token.content)) entries.emplace_back(token.id, token.content);
  std::int64_t count = 0;
  for (const auto& [id, token] : entries) {
    model.require(id >= 0 && id < kTokensMax, "vocab", "gives \"{}\" the id {}", token, id);
    count = std::max(count, id + 1);
  }
  check(count > 0 && count <= static_cast<std::int64_t>(entries.size()) + kHolesMax, Kind::malformed,
        "{}: model.vocab has ids up to {} for {} tokens", source, count - 1, entries.size());
  v.pieces.resize(static_cast<std::size_t>(count));
  v.kinds.assign(v.pieces.size(), PieceKind::unused);
  for (auto& [id, token] : entries) {
    const auto i = static_cast<std::size_t>(id);
    model.require(v.kinds[i] == PieceKind::unused, "vocab", "has the id {} twice", id);
    v.pieces[i] = std::move(token);
    v.kinds[i] = PieceKind::normal;
  }
  for (std::size_t i = 0; i < v.pieces.size(); ++i)
    if (v.kinds[i] == PieceKind::unused) v.pieces[i] = fmt::format("[PAD{}]", i);
}

Ids index(const Vocabulary& v) {
  Ids ids;
  for (std::size_t i = 0; i < v.pieces.size(); ++i) ids.emplace(v.pieces[i], static_cast<TokenId>(i));
  return ids;
}

std::optional<TokenId> id_of(const Ids& ids, const std::optional<std::string>& token) {
  const auto found = token ? ids.find(*token) : ids.end();
  return found == ids.end() ? std::nullopt : std::optional<TokenId>(found->second);
}

void read_kinds(const JsonFields& model, const std::vector<AddedToken>& added, const Ids& ids, Vocabulary& v) {
  for (const AddedToken& token : added)
    v.kinds[static_cast<std::size_t>(ids.at(token.content))] =
        token.special ? PieceKind::control : PieceKind::user_defined;
  v.unknown = id_of(ids, model.text("unk_token"));
  if (v.unknown) v.kinds[static_cast<std::size_t>(*v.unknown)] = PieceKind::unknown;
  if (!model.boolean("byte_fallback").value_or(false)) return;
  for (int value = 0; value < 256; ++value)
    if (const auto id = id_of(ids, fmt::format("<0x{:02X}>", value))) v.kinds[static_cast<std::size_t>(*id)] = PieceKind::byte;
}

/// "left right", the form of GGUF; the file has that or a pair.
void read_merges(const JsonFields& model, Vocabulary& v) {
  for (const auto& merge : model.list("merges")) {
    const bool pair = merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
    model.require(pair || merge.is_string(), "merges", "holds no pair at {}", v.merges.size());
    v.merges.push_back(pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>() : merge.get<std::string>());
  }
}

/// BPE by score gives what BPE by rank gives when the score falls with the rank.
void scores_from_merges(const JsonFields& model, const Ids& ids, Vocabulary& v) {
  v.scores.assign(v.pieces.size(), kNeverMergedScore);
  for (std::size_t rank = 0; rank < v.merges.size(); ++rank) {
    const std::string& merge = v.merges[rank];
    const std::size_t gap = merge.find(' ', 1);
    model.require(gap != std::string::npos, "merges", "holds no pair at {}", rank);
    const auto id = id_of(ids, merge.substr(0, gap) + merge.substr(gap + 1));
    model.require(id.has_value(), "merges", "makes \"{}\", which is no token", merge);
    float& score = v.scores[static_cast<std::size_t>(*id)];
    if (score == kNeverMergedScore) score = -static_cast<float>(rank);
  }
  v.merges.clear();
}

/// Spaces become U+2581 by a normaliser or by the Metaspace pre-tokenizer; either may put one in front.
void read_space_rules(const JsonFields& root, const std::string& source, Vocabulary& v) {
  const auto* normalizer = root.find("normalizer");
  const auto* pre = root.find("pre_tokenizer");
  const auto* metaspace = find_component(pre, "Metaspace");
  const bool replaces = find_component(normalizer, "Replace") || metaspace;
  check(replaces, Kind::unsupported, "{}: normalizer: a BPE model that does not write spaces as U+2581 is not supported",
        source);
  v.add_space_prefix = find_component(normalizer, "Prepend") != nullptr;
  if (metaspace) {
    const JsonFields fields(*metaspace, source, "pre_tokenizer");
    v.add_space_prefix = fields.text("prepend_scheme").value_or("always") != "never" &&
                         fields.boolean("add_prefix_space").value_or(true);
  }
  v.remove_extra_whitespaces = false;
}

/// The tokens that a TemplateProcessing puts around a text.
void read_template(const nlohmann::json& processor, const Ids& ids, const std::string& source, Vocabulary& v) {
  const JsonFields fields(processor, source, "post_processor");
  bool behind = false;
  for (const auto& step : fields.list("single")) {
    const JsonFields part(step, source, "post_processor.single");
    if (part.find("Sequence")) behind = true;
    const auto token = part.object("SpecialToken");
    if (!token) continue;
    const auto id = id_of(ids, token->required_text("id"));
    token->require(id.has_value(), "id", "is no token");
    (behind ? v.eos : v.bos) = id;
    (behind ? v.add_eos : v.add_bos) = true;
  }
}

void read_post_processor(const JsonFields& root, const Ids& ids, const std::string& source, Vocabulary& v) {
  v.add_bos = v.add_eos = false;
  const auto* processor = root.find("post_processor");
  if (!processor) return;
  const JsonFields fields(*processor, source, "post_processor");
  const std::string type = fields.text("type").value_or("");
  if (type == "TemplateProcessing") return read_template(*processor, ids, source, v);
  if (type == "ByteLevel") return;
  check(type == "Sequence", Kind::unsupported, "{}: post_processor: '{}' is not supported", source, type);
  for (const auto& part : fields.list("processors"))
    if (JsonFields(part, source, "post_processor").text("type") == "TemplateProcessing") read_template(part, ids, source, v);
}

/// Pieces that go on with a word carry a prefix here; in a vocabulary those that begin one do, as in GGUF.
void mark_words(const JsonFields& model, Vocabulary& v) {
  const std::string prefix = model.text("continuing_subword_prefix").value_or("##");
  model.require(!prefix.empty(), "continuing_subword_prefix", "is empty");
  for (std::size_t i = 0; i < v.pieces.size(); ++i) {
    std::string& piece = v.pieces[i];
    if (v.kinds[i] != PieceKind::normal) continue;
    if (piece.starts_with(prefix) && piece != prefix) piece.erase(0, prefix.size());
    else piece.insert(0, "\xE2\x96\x81");
  }
}

/// What WordPiece does to a text is fixed but for the case of letters; a file that asks for something else is refused.
void read_word_rules(const JsonFields& root, const JsonFields& model, const std::string& source, Vocabulary& v) {
  const auto* normalizer = find_component(root.find("normalizer"), "BertNormalizer");
  check(normalizer, Kind::unsupported, "{}: normalizer: a WordPiece model without BertNormalizer is not supported", source);
  const JsonFields rules(*normalizer, source, "normalizer");
  v.lowercase = rules.boolean("lowercase").value_or(true);
  const bool usual = rules.boolean("clean_text").value_or(true) && rules.boolean("handle_chinese_chars").value_or(true) &&
                     rules.boolean("strip_accents").value_or(*v.lowercase) == *v.lowercase;
  check(usual, Kind::unsupported, "{}: normalizer: only clean_text, handle_chinese_chars and strip_accents with lowercase are supported", source);
  check(find_component(root.find("pre_tokenizer"), "BertPreTokenizer"), Kind::unsupported,
        "{}: pre_tokenizer: a WordPiece model without BertPreTokenizer is not supported", source);
  const auto longest = model.integer("max_input_chars_per_word").value_or(100);
  check(longest == 100, Kind::unsupported, "{}: model.max_input_chars_per_word: {} is not supported, only 100", source, longest);
}

/// The tokens around a text have roles of their own.
void read_word_ends(const JsonFields& root, const Ids& ids, const std::string& source, Vocabulary& v) {
  const auto* processor = find_component(root.find("post_processor"), "BertProcessing");
  if (processor) {
    const JsonFields fields(*processor, source, "post_processor");
    const auto role = [&](std::string_view key) {
      const auto& pair = fields.list(key);
      const auto id = pair.size() == 2 && pair[0].is_string() ? id_of(ids, pair[0].get<std::string>()) : std::nullopt;
      fields.require(id.has_value(), key, "names no token");
      return id;
    };
    v.bos = role("cls"), v.eos = role("sep");
    v.add_bos = v.add_eos = true;
  } else {
    read_post_processor(root, ids, source, v);
  }
  v.cls = std::exchange(v.bos, std::nullopt);
  v.separator = std::exchange(v.eos, std::nullopt);
  v.add_separator = std::exchange(v.add_eos, false);
}

Vocabulary word_pieces(const JsonFields& root, const JsonFields& model, const std::string& source) {
  Vocabulary v;
  v.model = TokenizerModel::wordpiece;
  const std::vector<AddedToken> added = read_added(root, source);
  read_pieces(model, added, source, v);
  const Ids ids = index(v);
  read_kinds(model, added, ids, v);
  model.require(v.unknown.has_value(), "unk_token", "is no token");
  read_word_rules(root, model, source, v);
  read_word_ends(root, ids, source, v);
  mark_words(model, v);
  return v;
}

std::optional<std::string> token_text(const JsonFields& fields, std::string_view key) {
  const auto* member = fields.find(key);
  if (member && member->is_object()) return fields.object(key)->text("content");
  return fields.text(key);
}

}  // namespace

Vocabulary decode_tokenizer_json(Bytes file, const std::string& source) {
  const nlohmann::json parsed = parse_json_object(file, source, kLimits);
  const JsonFields root(parsed, source);
  const auto model = root.object("model");
  root.require(model.has_value(), "model", "is missing");
  const std::string type = model->text("type").value_or("BPE");
  if (type == "WordPiece") return word_pieces(root, *model, source);
  check(type == "BPE", Kind::unsupported, "{}: model.type: '{}' is not supported, only BPE and WordPiece", source, type);
  Vocabulary v;
  const std::vector<AddedToken> added = read_added(root, source);
  read_pieces(*model, added, source, v);
  const Ids ids = index(v);
  read_kinds(*model, added, ids, v);
  read_merges(*model, v);
  const auto* pre = root.find("pre_tokenizer");
  if (find_component(pre, "ByteLevel")) {
    v.model = TokenizerModel::byte_level_bpe;
    const auto* normalizer = root.find("normalizer");
    check(!normalizer || find_component(normalizer, "NFC"), Kind::unsupported,
          "{}: normalizer: only NFC is supported for byte-level models", source);
    v.pre = pre_tokenizer_name(*pre, source);
    v.ignore_merges = model->boolean("ignore_merges").value_or(false);
  } else {
    v.model = TokenizerModel::sentencepiece;
    read_space_rules(root, source, v);
    scores_from_merges(*model, ids, v);
  }
  read_post_processor(root, ids, source, v);
  return v;
}

void apply_tokenizer_config(Bytes file, const std::string& source, Vocabulary& v) {
  const nlohmann::json parsed = parse_json_object(file, source);
  const JsonFields root(parsed, source);
  const Ids ids = index(v);
  const auto set = [&](std::string_view key, std::optional<TokenId>& role) {
    if (const auto id = id_of(ids, token_text(root, key))) role = id;
  };
  set("bos_token", v.bos);
  set("eos_token", v.eos);
  set("pad_token", v.padding);
  if (const auto flag = root.boolean("add_bos_token")) v.add_bos = flag;
  if (const auto flag = root.boolean("add_eos_token")) v.add_eos = flag;
  const auto* chat = root.find("chat_template");
  if (chat && chat->is_string()) v.chat_template = chat->get<std::string>();
  // Several by name, as in models with a separate template for tools: the default one is for everything.
  for (std::size_t i = 0; chat && chat->is_array() && i < chat->size(); ++i) {
    const JsonFields entry((*chat)[i], source, fmt::format("chat_template[{}]", i));
    if (entry.required_text("name") == "default") v.chat_template = entry.required_text("template");
  }
}

}  // namespace starling::core
