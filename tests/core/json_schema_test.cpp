// Schemas as grammars: what random logits write is JSON that the schema accepts (judged by tests/oracle), single rules
// by accepted and rejected texts, and what is refused.
#include "core/text/grammar/json_schema.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/core/random_schema.h"
#include "tests/oracle/json_schema_checker.h"

using namespace starling;
using core::OrderedJson;

namespace {

std::string refusal(const std::string& schema, core::Kind kind) {
  try {
    core::Grammar::parse(core::json_schema_grammar(OrderedJson::parse(schema)));
  } catch (const core::Error& error) {
    CHECK(error.kind() == kind);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("under the grammars of 1000 random schemas random logits write JSON that the schemas accept") {
  tests::RandomSchema schemas(1);
  const auto trie = tests::schema_vocabulary();
  std::mt19937_64 generator(2);
  for (int i = 0; i < 1000; ++i) {
    const OrderedJson schema = schemas.next();
    CAPTURE(schema.dump());
    core::GrammarMatcher matcher(core::Grammar::parse(core::json_schema_grammar(schema)), trie);
    const std::string text = tests::text_under_grammar(matcher, *trie, generator);
    CAPTURE(text);
    REQUIRE_FALSE(text.empty());
    REQUIRE(nlohmann::json::accept(text));
    const nlohmann::json plain = nlohmann::json::parse(schema.dump());
    REQUIRE(tests::JsonSchemaChecker(plain).accepts(nlohmann::json::parse(text)));
  }
}

TEST_CASE("the checker itself refuses what breaks a schema") {
  const nlohmann::json schema = {{"type", "object"}, {"properties", {{"a", {{"type", "integer"}, {"maximum", 3}}}}}, {"required", {"a"}}, {"additionalProperties", false}};
  const tests::JsonSchemaChecker checker(schema);
  CHECK(checker.accepts({{"a", 3}}));
  for (const nlohmann::json& bad : {nlohmann::json{{"a", 4}}, {{"a", 1.5}}, {{"a", 1}, {"b", 1}}, nlohmann::json::object(), nlohmann::json(3)}) CHECK_FALSE(checker.accepts(bad));
}

TEST_CASE("schemas accept and reject single texts") {
  struct Case {
    const char* schema;
    std::vector<std::string> accepted, rejected;
  };
  const std::vector<Case> cases = {
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"null"}},"required":["b"]})",
       {R"({"b":"x"})", R"({"a": 1, "b": "x", "c": null})", "{\n  \"a\": 1,\n  \"b\": \"\"\n}", R"({"b":"\u00e9\n\""})"},
       {R"({"a":1})", R"({"b":"x","a":1})", R"({"b":"x","z":1})", R"({"b":"x",})", R"({"b":"\ud800"})", "{}"}},
      {R"({"type":"object","properties":{"a":true,"b":true}})", {"{}", R"({"a":[1,{}]})", R"({"b":1})", R"({"a":1,"b":2})"}, {R"({"b":1,"a":1})", R"({,"b":1})"}},
      {R"({"type":"object","properties":{"ab":{"const":1},"abc":{"const":2}},"additionalProperties":{"type":"boolean"}})",
       {R"({"ab":1,"abc":2})", R"({"a":true})", R"({"abcd":true,"b":false})", R"({"":true})"},
       {R"({"ab":true})", R"({"abc":true})", R"({"a\u0062":true})", R"({"b":1})"}},
      {R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3})", {"[1,2]", "[1, -2, 3]"}, {"[1]", "[1,2,3,4]", "[]", "[1,2,]", "[01,2]"}},
      {R"({"type":"integer","minimum":-12,"maximum":345})", {"-12", "-1", "0", "9", "99", "100", "345"}, {"-13", "346", "-0", "1000", "007", "1.5"}},
      {R"({"type":"number","minimum":0.5,"exclusiveMaximum":2})", {"0.5", "0.75", "1", "1.999", "1.5"}, {"0.4", "2", "2.0", "0", "-1"}},
      {R"({"type":"integer","minimum":0.5,"maximum":2.5})", {"1", "2"}, {"0", "3"}},
      {R"({"enum":["x",1,null,{"a":"\n"}]})", {"\"x\"", "1", "null", R"({"a":"\n"})"}, {"2", "\"1\"", "{}"}},
      {R"({"type":"string","minLength":1,"maxLength":2})", {"\"a\"", "\"\xC3\xA9\xF0\x9F\x98\x80\"", R"("\n\u00e9")"}, {"\"\"", "\"abc\""}},
      {R"({"type":"string","pattern":"^[0-9]{2}[-\"]x?$"})", {"\"12-\"", "\"12-x\"", R"("12\"x")"}, {"\"1-\"", "\"12\"\"", "\"12-xx\""}},
      {R"({"type":"string","pattern":"b+|^c"})", {"\"abbb z\"", "\"b\"", "\"cx\""}, {"\"\"", "\"ac\""}},
      {R"({"type":"string","format":"date-time"})", {"\"2024-02-28T23:59:59Z\"", "\"1999-12-31T00:00:00.5+01:30\""}, {"\"2024-13-01T00:00:00Z\"", "\"2024-04-31T00:00:00Z\"", "\"2024-01-01\""}},
      {R"({"anyOf":[{"type":"string"},{"type":"null"}]})", {"\"\"", "null"}, {"1", "true"}},
      {R"({"$ref":"#/$defs/list","$defs":{"list":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/list"},{"type":"null"}]}},"required":["next"]}}})",
       {R"({"next":null})", R"({"next":{"next":{"next":null}}})"}, {"{}", R"({"next":1})"}},
      {R"({"type":"object"})", {"{}", R"({"a":{"b":[1,2.5e3,"x",true,null]}})"}, {"[]", "1", R"({"a"})", R"({"a":1)"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.schema);
    const auto grammar = core::Grammar::parse(core::json_schema_grammar(OrderedJson::parse(c.schema)));
    for (const std::string& text : c.accepted) CHECK_MESSAGE(core::matches(grammar, text), text);
    for (const std::string& text : c.rejected) CHECK_MESSAGE(!core::matches(grammar, text), text);
  }
}

TEST_CASE("ranges of integers hold every integer inside and none outside") {
  std::mt19937_64 generator(3);
  for (int i = 0; i < 40; ++i) {
    const auto a = static_cast<std::int64_t>(generator() % 2400) - 1200, b = a + static_cast<std::int64_t>(generator() % (i < 20 ? 30 : 1500));
    CAPTURE(a);
    CAPTURE(b);
    const auto grammar = core::Grammar::parse("root ::= " + core::integer_expression(a, b));
    for (std::int64_t v = -1400; v <= 2900; v += v > a - 5 && v < b + 5 ? 1 : 7) {
      CAPTURE(v);
      REQUIRE(core::matches(grammar, std::to_string(v)) == (a <= v && v <= b));
    }
  }
}

TEST_CASE("what a grammar cannot say is refused by name and path") {
  using core::Kind;
  CHECK(refusal(R"({"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}})", Kind::unsupported) ==
        "JSON schema: #/properties/a: uniqueItems is not supported");
  CHECK(refusal(R"({"not":{"type":"string"}})", Kind::unsupported) == "JSON schema: #: not is not supported");
  CHECK(refusal(R"({"items":{"patternProperties":{}}})", Kind::unsupported) == "JSON schema: #/items: patternProperties is not supported");
  CHECK(refusal(R"({"type":"string","format":"iri"})", Kind::unsupported).find("#: format \"iri\" is not supported; known are date") != std::string::npos);
  CHECK(refusal(R"({"type":"string","pattern":"(?=a)b"})", Kind::unsupported) == "JSON schema: #: pattern \"(?=a)b\" is not supported from character 1 on");
  CHECK(refusal(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", Kind::unsupported).find("alternatives 0 and 1") != std::string::npos);
  CHECK(refusal(R"({"$ref":"http://x/y"})", Kind::unsupported).find("only references into the schema itself") != std::string::npos);
  CHECK(refusal(R"({"$ref":"#/$defs/a"})", Kind::malformed) == "JSON schema: #: $ref #/$defs/a names nothing");
  CHECK(refusal(R"({"type":"text"})", Kind::malformed).find("type text is unknown; known are object") != std::string::npos);
  CHECK(refusal(R"({"type":"integer","minimum":3,"maximum":2})", Kind::malformed) == "JSON schema: #: no integer lies between the bounds");
  CHECK(refusal(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", Kind::malformed) == "grammar: no finite text matches the rule root");
  CHECK(refusal(R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}})", Kind::unsupported).find("left recursion") != std::string::npos);
  CHECK(refusal(R"({"$ref":"#","type":"object"})", Kind::malformed) == "JSON schema: #: references in a circle");
  CHECK(refusal(R"({"allOf":[{"type":"string"},{"type":"object"}]})", Kind::malformed).find("no type is left") != std::string::npos);
  for (const char* types : {R"([{"type":"string"}])", R"(["string",7])", "[]", "{}", "null"}) {
    const std::string type = fmt::format(R"("type":{})", types);
    CHECK(refusal("{" + type + "}", Kind::malformed) == "JSON schema: #: type is neither a name nor a list of names");
    for (const std::string& around : {R"({"allOf":[{"type":["string","integer"]},{)" + type + "}]}", R"({"enum":["a"],)" + type + "}"})
      CHECK(refusal(around, Kind::malformed).find("is neither a name nor a list of names") != std::string::npos);
  }
  CHECK(refusal("[1]", Kind::malformed) == "JSON schema: #: a schema is an object, true or false");
  CHECK(refusal(R"({"type":"string","maxLength":100000})", Kind::unsupported) == "JSON schema: #: maxLength above 10000 is not supported");
  OrderedJson deep = true;
  for (int i = 0; i < 100; ++i) deep = {{"type", "array"}, {"items", deep}};
  CHECK_THROWS_AS(core::json_schema_grammar(deep), core::Error);
  OrderedJson wide = {{"type", "object"}, {"$defs", OrderedJson::object()}};
  for (int i = 0; i < 60; ++i) {
    const OrderedJson next = {{"$ref", fmt::format("#/$defs/d{}", i + 1)}, {"title", "t"}, {"type", "object"}};
    wide["$defs"][fmt::format("d{}", i)] = {{"type", "object"}, {"anyOf", {next, next, next}}};
  }
  wide["$defs"]["d60"] = {{"type", "object"}};
  wide["properties"]["a"] = {{"$ref", "#/$defs/d0"}, {"type", "object"}};
  CHECK_THROWS_AS(core::json_schema_grammar(wide), core::Error);
}
