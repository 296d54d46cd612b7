// The first cut of byte-level BPE: regular expressions that split a text into pre-tokens, inside which merging
// stays. One row of a table per expression group; the names are those of GGUF's tokenizer.ggml.pre.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace starling::core {

struct PreTokenizerTraits {
  std::string_view names;          // separated by single spaces
  std::string_view stages;         // expressions, one a line: each cuts every piece of the one before
  bool ignore_merges = false;
  bool add_bos = false;            // the default where the file does not say
};

/// The row of `name` (empty: "default"). Kind::unsupported for a name that is not in the table.
const PreTokenizerTraits& pre_tokenizer_traits(std::string_view name);

class PreTokenizer {
 public:
  explicit PreTokenizer(std::string_view name);
  ~PreTokenizer();
  /// Cuts `text`, which must be valid UTF-8; the pieces joined are the text. Kind::refused when an expression
  /// reaches its match limit. May be called from several threads.
  std::vector<std::string_view> split(std::string_view text) const;

 private:
  struct Stage;
  std::vector<std::unique_ptr<Stage>> stages_;
};

}  // namespace starling::core
