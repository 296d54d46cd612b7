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

void TrainableModel::initialise_for_relu() {
  const auto layout = std::make_shared<ParameterLayout>();
  for (const ParameterEntry& e : layout_->entries()) {
    const bool drawn = e.initial.kind == Initial::Kind::fan_in;
    const Initial he = e.shape.size() > 1 ? Initial{Initial::Kind::he, 0, e.initial.fan_in} : Initial{};
    layout->add(e.name, e.shape, drawn ? he : e.initial, e.part);
  }
  layout_ = layout;
}

std::unique_ptr<TrainableModel> make_model(const ModelOptions& options) {
  check(options.classes > 0 && !options.input.empty(), Kind::usage, "model '{}': an input and classes are needed", options.name);
  check(options.initial == "fan-in" || options.initial == "he", Kind::usage, "model '{}': initial = '{}', expected fan-in or he", options.name, options.initial);
  for (const Entry& entry : kModels)
    if (entry.name == options.name) {
      auto model = entry.make(options);
      if (options.initial == "he") model->initialise_for_relu();
      return model;
    }
  fail(Kind::usage, "model '{}' is unknown; known: {}", options.name, fmt::join(model_names(), " "));
}

}  // namespace starling::core
