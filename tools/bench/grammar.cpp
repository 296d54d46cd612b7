// `starling bench grammar`: what a grammar costs a generated token, over the vocabulary of a model: random logits write
// texts under a JSON schema, and only masking and accepting are timed.
#include <algorithm>
#include <chrono>
#include <random>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/models/load.h"
#include "core/text/grammar/json_schema.h"
#include "core/text/grammar/matcher.h"
#include "tools/command.h"

namespace starling::tools::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct GrammarOptions {
  std::string model, schema;
  int texts = 20;
  std::uint64_t seed = 1;
  bool json = false;
};

constexpr std::uint64_t kSchemaBytesMax = std::uint64_t{1} << 20;

/// A list of records with strings, numbers, an enumeration and a nested list: what clients usually ask for.
constexpr const char* kSchema =
    R"({"type":"object","properties":{"title":{"type":"string"},"year":{"type":"integer","minimum":1000,"maximum":2999},"tags":{"type":"array","items":)"
    R"({"type":"string"}},"mood":{"enum":["calm","tense","funny"]},"people":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},)"
    R"("age":{"type":"number"}},"required":["name"],"additionalProperties":false}}},"required":["title","year","people"],"additionalProperties":false})";

double microseconds(Clock::time_point from) { return std::chrono::duration<double, std::micro>(Clock::now() - from).count(); }

/// Random logits; what ends with a quote or bracket becomes likelier with every step, so that texts end.
class RandomLogits {
 public:
  RandomLogits(const core::TokenTrie& trie, std::uint64_t seed) : generator_(seed) {
    for (std::size_t id = 0; id < trie.size(); ++id) {
      const std::string& text = trie.text(static_cast<core::TokenId>(id));
      closes_.push_back(trie.is_end(static_cast<core::TokenId>(id)) || (!text.empty() && std::string_view("\"}]").find(text.back()) != std::string_view::npos));
    }
  }
  const std::vector<float>& next(int step) {
    logits_.resize(closes_.size());
    for (std::size_t i = 0; i < logits_.size(); ++i)
      logits_[i] = static_cast<float>(generator_() >> 40) * 0x1p-24F + (closes_[i] ? static_cast<float>(step) * 0.02F : 0.0F);
    return logits_;
  }

 private:
  std::mt19937_64 generator_;
  std::vector<bool> closes_;
  std::vector<float> logits_;
};

int run_grammar(const GrammarOptions& options) {
  const auto tokenizer = core::make_tokenizer(core::load_vocabulary(options.model));
  auto from = Clock::now();
  const auto trie = std::make_shared<const core::TokenTrie>(*tokenizer);
  const double trie_us = microseconds(from);
  const std::string schema = options.schema.empty() ? kSchema : core::read_text(options.schema, kSchemaBytesMax);
  from = Clock::now();
  const core::OrderedJson parsed = core::OrderedJson::parse(schema, nullptr, false);
  core::check(!parsed.is_discarded(), core::Kind::malformed, "{}: not JSON", options.schema);
  const auto grammar = core::Grammar::parse(core::json_schema_grammar(parsed));
  const double compile_us = microseconds(from);
  RandomLogits random(*trie, options.seed);
  std::vector<double> times;
  std::string last;
  for (int i = 0; i < options.texts; ++i) {
    core::GrammarMatcher matcher(grammar, trie);
    last.clear();
    for (int step = 0; !matcher.must_end() && step < 2000; ++step) {
      std::vector<float> logits = random.next(step);
      from = Clock::now();
      matcher.mask(logits);
      double us = microseconds(from);
      const auto id = static_cast<core::TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
      from = Clock::now();
      matcher.accept(id);
      us += microseconds(from);
      times.push_back(us);
      if (trie->is_end(id)) break;
      last += trie->text(id);
    }
  }
  core::check(!times.empty(), core::Kind::unsupported, "{}: no text of this schema has a token", options.schema);
  std::sort(times.begin(), times.end());
  double sum = 0;
  for (const double us : times) sum += us;
  const auto at = [&](double share) { return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))]; };
  const nlohmann::json result{{"vocabulary", trie->size()}, {"tokens", times.size()}, {"mean_us", sum / static_cast<double>(times.size())}, {"median_us", at(0.5)},
                              {"p99_us", at(0.99)}, {"largest_us", times.back()}, {"compile_us", compile_us}, {"trie_us", trie_us}, {"last_text", last}};
  if (options.json) {
    print_json(result);
    return 0;
  }
  print(fmt::format("{} tokens over a vocabulary of {}: mean {:.1f} us a token, median {:.1f}, 99 % below {:.1f}, largest {:.1f}\n", times.size(), trie->size(),
                    sum / static_cast<double>(times.size()), at(0.5), at(0.99), times.back()));
  print(fmt::format("once: the schema {:.1f} us, the vocabulary {:.1f} us\nlast text: {}\n", compile_us, trie_us, last));
  return 0;
}

}  // namespace

std::function<int()> grammar(CLI::App& app) {
  auto options = std::make_shared<GrammarOptions>();
  app.add_option("MODEL", options->model, "a model or tokenizer file")->required();
  app.add_option("--schema", options->schema, "file with a JSON schema (default: a list of records)");
  app.add_option("--texts", options->texts, "how many to write, each with a matcher of its own")->check(CLI::Range(1, 10'000))->capture_default_str();
  add_seed_option(app, options->seed, "of the logits");
  add_json_flag(app, options->json);
  return [options] { return run_grammar(*options); };
}

}  // namespace starling::tools::bench
