// Data sets by name, in memory: examples for training and for testing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/synthetic.h"
#include "core/tensor.h"
#include "core/text/vocabulary.h"

namespace starling::core {

/// An example is `values_each` values or `tokens_each` tokens, with as many labels.
struct Examples {
  std::int64_t count = 0;
  std::int64_t values_each = 0, tokens_each = 0, labels_each = 1;
  std::vector<float> values;
  std::vector<std::int32_t> tokens, labels;

  /// Kind::malformed naming `source` when the sizes disagree.
  void validate(const std::string& source) const;
};

struct Dataset {
  std::string name;
  Shape input;                      // of one example
  std::int64_t classes = 0;
  Examples train, test;
  std::vector<std::int32_t> owners;  // of each training example, where the data says whose it is
  bool made_per_client = false;     // `train` is empty: each client's examples are made from its number (synthetic.h)
  Vocabulary vocabulary;            // of texts that a model file can carry the tokens of; else none
};

struct DatasetOptions {
  std::string name;                 // one of dataset_names()
  std::filesystem::path folder;     // that holds the sets; empty: STARLING_DATA, then $XDG_DATA_HOME/starling
  std::int64_t train_max = 0;       // so many training examples at most, the first ones; 0: all
  std::filesystem::path path = {};  // of "folder": the user's own data, see folder.cpp; of "text": the files, empty: those of the set
  std::int64_t stride = 0;          // of "shakespeare": characters from one example to the next; 0: 10 (LEAF has 1)
  SyntheticOptions synthetic = {};  // of "synthetic"
  std::int64_t length = 128;        // of "text": characters of an example
};

/// Kind::usage for an unknown name; Kind::missing says where the set comes from; Kind::malformed names file and field.
Dataset load_dataset(const DatasetOptions& options);
std::vector<std::string_view> dataset_names();
/// STARLING_DATA, then $XDG_DATA_HOME/starling, then ~/.local/share/starling. Kind::missing when none is set.
std::filesystem::path data_folder();

}  // namespace starling::core
