// Random JSON schemas that use every keyword the grammars know, and texts that a model of random logits writes under
// their grammar.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "core/text/grammar/json_schema.h"
#include "core/text/grammar/matcher.h"
#include "core/text/sampler.h"

namespace starling::tests {

class RandomSchema {
 public:
  using Json = core::OrderedJson;
  explicit RandomSchema(std::uint64_t seed) : generator_(seed) {}

  Json next() {
    Json root = below(3) == 0 ? node(0) : object(0);
    // One in four is recursive: a list or a tree of itself.
    if (root.value("type", Json()) == "object" && below(4) == 0) {
      root["properties"]["next"] = {{"anyOf", {{{"$ref", "#"}}, {{"type", "null"}}}}};
      root["properties"]["tree"] = {{"$ref", "#/$defs/tree"}};
      root["$defs"]["tree"] = {{"type", "object"},
                               {"properties", {{"name", {{"type", "string"}, {"maxLength", 4}}}, {"below", {{"type", "array"}, {"items", {{"$ref", "#/$defs/tree"}}}}}}},
                               {"required", {"name"}}};
    }
    return root;
  }

 private:
  std::size_t below(std::size_t n) { return generator_() % n; }
  std::string name() {
    static const std::vector<std::string> kNames = {"a", "ab", "abc", "name", "n", "x y", "\"q\"", "back\\slash", "\u00e9t\u00e9", "id", "", "\U0001F600"};
    return kNames[below(kNames.size())];
  }

  Json node(int depth) {
    switch (below(depth >= 3 ? 8 : 12)) {
      case 0: return string();
      case 1: return string();
      case 2: return number();
      case 3: return integer();
      case 4: return {{"type", "boolean"}};
      case 5: return {{"enum", {"red", "green \"x\"", 1, -2.5, nullptr, true, {{"k", {1, 2}}}}}};
      case 6: return {{"type", {"string", "null", "integer"}}, {"maxLength", 3}};
      case 7: return below(2) ? Json{{"const", {{"v", "\u00fc\n"}}}} : Json{{"type", "integer"}, {"nullable", true}};
      case 8: return array(depth);
      case 9: return combination(depth);
      default: return object(depth);
    }
  }

  Json string() {
    static const std::vector<std::string> kFormats = {"date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"};
    static const std::vector<std::string> kPatterns = {"^[a-z]{2,5}$", "^(foo|ba[rz])+$", "n", "^[^\"\\\\]*$", "^\\w+\\s\\w*$", "^a[b-y]c$", "^\\(\\d{3}\\) \\d{4}$", "^$|^-?[1-9]\\d{0,3}$"};
    switch (below(4)) {
      case 0: return {{"type", "string"}, {"format", kFormats[below(kFormats.size())]}};
      case 1: return {{"type", "string"}, {"pattern", kPatterns[below(kPatterns.size())]}};
      case 2: {
        const std::size_t least = below(4);
        return {{"type", "string"}, {"minLength", least}, {"maxLength", least + below(5)}};
      }
      default: return {{"type", "string"}, {"description", "any"}};
    }
  }

  Json integer() {
    const auto low = static_cast<std::int64_t>(below(4000)) - 2000;
    Json schema{{"type", "integer"}};
    if (below(3)) schema[below(2) ? "minimum" : "exclusiveMinimum"] = low;
    if (below(3)) schema[below(2) ? "maximum" : "exclusiveMaximum"] = low + 2 + static_cast<std::int64_t>(below(3000));
    return schema;
  }

  Json number() {
    const double low = (static_cast<double>(below(4000)) - 2000) / 8;
    Json schema{{"type", "number"}};
    if (below(3)) schema[below(2) ? "minimum" : "exclusiveMinimum"] = low;
    if (below(3)) schema[below(2) ? "maximum" : "exclusiveMaximum"] = low + 0.25 + static_cast<double>(below(3000)) / 4;
    return schema;
  }

  Json array(int depth) {
    const std::size_t least = below(3);
    Json schema{{"type", "array"}, {"minItems", least}, {"maxItems", least + below(3)}};
    if (below(3)) {
      schema["items"] = node(depth + 1);
    } else {
      schema["prefixItems"] = {node(depth + 1), node(depth + 1)};
      schema["items"] = node(depth + 1);
    }
    return schema;
  }

  Json combination(int depth) {
    switch (below(3)) {
      case 0: return {{"anyOf", {node(depth + 1), node(depth + 1)}}};
      case 1:
        return {{"oneOf",
                 {{{"type", "object"}, {"properties", {{"kind", {{"const", "a"}}}, {"v", node(depth + 1)}}}, {"required", {"kind"}}, {"additionalProperties", false}},
                  {{"type", "object"}, {"properties", {{"kind", {{"const", "b"}}}, {"w", node(depth + 1)}}}, {"required", {"kind", "w"}}},
                  {{"type", "boolean"}}}}};
      default:
        return {{"allOf",
                 {{{"type", "object"}, {"properties", {{"p", node(depth + 1)}}}, {"required", {"p"}}},
                  {{"properties", {{"q", node(depth + 1)}}}}}}};
    }
  }

  Json object(int depth) {
    Json schema{{"type", "object"}, {"properties", Json::object()}, {"required", Json::array()}};
    for (std::size_t n = below(5); n > 0; --n) {
      const std::string key = name();
      if (schema["properties"].contains(key)) continue;
      schema["properties"][key] = node(depth + 1);
      if (below(2)) schema["required"].push_back(key);
    }
    switch (below(4)) {
      case 0: schema["additionalProperties"] = false; break;
      case 1: schema["additionalProperties"] = node(depth + 1); break;
      case 2: schema["additionalProperties"] = true; break;
      default: break;
    }
    return schema;
  }

  std::mt19937_64 generator_;
};

/// All bytes, some longer tokens (whole, cut and joined characters among them), and the end at the last id.
inline std::shared_ptr<const core::TokenTrie> schema_vocabulary() {
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
  for (const char* text : {"{\"", "\":", "\",", "\", \"", "true", "false", "null", "}}", "]}", "[[", "\"}", "name", "\xC3", "\xA9t\xC3", "\xF0\x9F", "\x98\x80", " ", "  ",
                           "\n  ", "12", "-1", "0.", "e+", "1.5", "ab", "abc\"", "\\\"", "\\u00", "foo", "bar", "2024-", "-01-", "T00:", "@"})
    tokens.emplace_back(text);
  std::vector<bool> ends(tokens.size() + 1, false);
  tokens.emplace_back();
  ends.back() = true;
  return std::make_shared<const core::TokenTrie>(tokens, ends);
}

/// Draws from random logits; what closes a text becomes likelier with every step. Empty when it does not end.
inline std::string text_under_grammar(core::GrammarMatcher& matcher, const core::TokenTrie& trie, std::mt19937_64& generator, int steps_max = 3000) {
  std::vector<float> logits(trie.size());
  core::Sampler sampler({.temperature = 1, .seed = generator()});
  std::normal_distribution<float> normal;
  std::string text;
  for (int step = 0; step < steps_max; ++step) {
    const float closing = std::min(static_cast<float>(step) / 16, 12.0F);
    for (std::size_t id = 0; id < logits.size(); ++id) {
      const std::string& token = trie.text(static_cast<core::TokenId>(id));
      const bool closes = trie.is_end(static_cast<core::TokenId>(id)) || token == "\"" || token == "}" || token == "]" || token == "n" || token == "null";
      logits[id] = normal(generator) + (closes ? closing : 0.0F);
    }
    matcher.mask(logits);
    const core::TokenId id = sampler.sample(logits, {}, static_cast<std::uint64_t>(step));
    matcher.accept(id);
    if (trie.is_end(id)) return text;
    text += trie.text(id);
  }
  return {};
}

}  // namespace starling::tests
