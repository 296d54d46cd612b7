#include "core/train/model.h"

#include <array>

#include "core/error.h"

namespace starling::core {

#define MODEL(name, maker) std::unique_ptr<TrainableModel> maker(const ModelOptions& options);
#include "core/train/models/all.def"
#undef MODEL

namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<TrainableModel> (*make)(const ModelOptions&);
};

constexpr std::array kModels{
#define MODEL(name, maker) Entry{name, maker},
#include "core/train/models/all.def"
#undef MODEL
};

}  // namespace

std::vector<std::string_view> model_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kModels) names.push_back(entry.name);
  return names;
}

std::unique_ptr<TrainableModel> make_model(const ModelOptions& options) {
  check(options.classes > 0 && !options.input.empty(), Kind::usage, "model '{}': an input and classes are needed", options.name);
  for (const Entry& entry : kModels)
    if (entry.name == options.name) return entry.make(options);
  fail(Kind::usage, "model '{}' is unknown; known: {}", options.name, fmt::join(model_names(), " "));
}

}  // namespace starling::core
