// `starling bench make-model`: Llama models of known shapes with random weights (normal, standard deviation 0.02;
// norms 1) and a generated vocabulary, for measurements of speed, memory and equality. A weight depends on seed
// and place only (SplitMix64, Steele et al. 2014, counted; Box-Muller 1958), so that any number of threads writes
// the same file; a few rows are in memory at a time, whatever the model's size.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numbers>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/error.h"
#include "core/formats/gguf.h"
#include "core/formats/gguf_llama.h"
#include "core/formats/gguf_mixture.h"
#include "core/pool.h"
#include "core/quant/blocks.h"
#include "tools/command.h"
#include "tools/measure.h"
#include "tools/nearest.h"
#include "tools/plan_print.h"

namespace starling::tools::bench {
namespace {

using core::check;
using core::Kind;
using core::LlamaConfig;
using core::Outgoing;
using core::PieceKind;
using core::Shape;
using core::Type;

struct NamedShape {
  const char* name;
  std::int64_t width, layers, heads, kv_heads, ffn, vocabulary;
  bool tied = false;
};
constexpr std::array<NamedShape, 6> kShapes{{
    {"syn-1M", 128, 4, 4, 2, 352, 512},
    {"syn-17M", 384, 8, 6, 6, 1024, 4096},
    {"syn-110M", 768, 12, 12, 4, 2048, 32000},
    {"syn-1B", 2048, 22, 32, 4, 5632, 32000},
    {"syn-3B", 3072, 28, 24, 8, 8192, 128256, true},
    {"syn-7B", 4096, 32, 32, 32, 11008, 32000},
}};

struct MakeModelOptions {
  std::string shape, out, type = "f32";
  std::uint64_t seed = 1;
  int threads = 0;
  bool json = false;
};

const NamedShape& find_shape(const std::string& name) {
  std::vector<std::string> known;
  for (const NamedShape& shape : kShapes) {
    if (name == shape.name) return shape;
    known.emplace_back(shape.name);
  }
  core::fail(Kind::usage, "make-model {}: unknown shape{} (known: {})", name, suggestion(name, known), fmt::join(known, " "));
}

LlamaConfig config_of(const NamedShape& shape) {
  LlamaConfig config;
  config.width = shape.width;
  config.layers = shape.layers;
  config.heads = shape.heads;
  config.kv_heads = shape.kv_heads;
  config.head_size = shape.width / shape.heads;
  config.ffn = shape.ffn;
  config.vocabulary = shape.vocabulary;
  config.tied = shape.tied;
  config.context = 2048;
  return config;
}

/// Every text encodes: control pieces, all bytes, then ever longer words, each reachable by merging from shorter
/// ones, with and without the mark of a leading space.
core::Vocabulary vocabulary_of(std::int64_t size) {
  constexpr std::string_view kLetters = "etaoinshrdlucmfwypvbgkqjxz";
  constexpr const char* kSpace = "\xE2\x96\x81";  // U+2581
  core::Vocabulary vocabulary;
  vocabulary.model = core::TokenizerModel::sentencepiece;
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.unknown = 0;
  const auto add = [&](std::string piece, PieceKind kind) {
    if (static_cast<std::int64_t>(vocabulary.pieces.size()) >= size) return;
    const auto index = static_cast<float>(vocabulary.pieces.size());
    vocabulary.pieces.push_back(std::move(piece));
    vocabulary.scores.push_back(kind == PieceKind::normal ? -index : 0.0f);
    vocabulary.kinds.push_back(kind);
  };
  add("<unk>", PieceKind::unknown);
  add("<s>", PieceKind::control);
  add("</s>", PieceKind::control);
  for (int byte = 0; byte < 256; ++byte) add(fmt::format("<0x{:02X}>", byte), PieceKind::byte);
  add(kSpace, PieceKind::normal);
  std::vector<std::string> words{""};
  while (static_cast<std::int64_t>(vocabulary.pieces.size()) < size) {
    std::vector<std::string> longer;
    for (const std::string& word : words)
      for (const char letter : kLetters) longer.push_back(word + letter);
    for (const std::string& word : longer) {
      add(word, PieceKind::normal);
      add(kSpace + word, PieceKind::normal);
    }
    words = std::move(longer);
  }
  return vocabulary;
}

/// Output k of SplitMix64 started at `seed`.
std::uint64_t split_mix(std::uint64_t seed, std::uint64_t k) {
  std::uint64_t z = seed + (k + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// Weights number [first, first + values.size()) of the model; `first` is even.
void fill_normal(std::uint64_t seed, std::uint64_t first, std::span<float> values) {
  constexpr float kDeviation = 0.02f;
  constexpr float kTwoPi = 2 * std::numbers::pi_v<float>;
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const std::uint64_t bits = split_mix(seed, first + i), more = split_mix(seed, first + i + 1);
    const float u = (static_cast<float>(bits >> 40) + 0.5f) * 0x1p-24f;  // never 0
    const float angle = kTwoPi * (static_cast<float>(more >> 40) * 0x1p-24f);
    const float radius = kDeviation * std::sqrt(-2 * std::log(u));
    values[i] = radius * std::cos(angle);
    if (i + 1 < values.size()) values[i + 1] = radius * std::sin(angle);
  }
}

/// One line on a terminal, nothing elsewhere.
class Progress {
 public:
  explicit Progress(std::uint64_t total) : total_(total), shown_(::isatty(2) != 0) {}
  void add(std::uint64_t bytes) {
    done_ += bytes;
    if (shown_) fmt::print(stderr, "\r{} of {}", human_bytes(done_), human_bytes(total_));
  }
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\x1b[K");
  }

 private:
  std::uint64_t total_, done_ = 0;
  bool shown_;
};

/// Lays the tensors of a model out and numbers their weights.
class Plan {
 public:
  Plan(const LlamaConfig& config, const core::Mixture& mixture, std::uint64_t seed, core::Pool& pool)
      : mixture_(mixture), facts_{"llama", config.layers, config.heads, config.kv_heads, 0, !config.tied}, seed_(seed), pool_(pool) {
    const std::int64_t q = config.heads * config.head_size, kv = config.kv_heads * config.head_size;
    matrix("token_embd.weight", {config.vocabulary, config.width});
    for (std::int64_t layer = 0; layer < config.layers; ++layer) {
      const std::string block = fmt::format("blk.{}.", layer);
      norm(block + "attn_norm.weight", config.width);
      matrix(block + "attn_q.weight", {q, config.width});
      matrix(block + "attn_k.weight", {kv, config.width});
      matrix(block + "attn_v.weight", {kv, config.width});
      matrix(block + "attn_output.weight", {config.width, q});
      norm(block + "ffn_norm.weight", config.width);
      matrix(block + "ffn_gate.weight", {config.ffn, config.width});
      matrix(block + "ffn_up.weight", {config.ffn, config.width});
      matrix(block + "ffn_down.weight", {config.width, config.ffn});
    }
    norm("output_norm.weight", config.width);
    if (!config.tied) matrix("output.weight", {config.vocabulary, config.width});
  }

  std::span<const Outgoing> tensors() const { return tensors_; }
  std::uint64_t parameters() const { return parameters_; }
  std::uint64_t bytes() const { return bytes_; }
  void show(Progress& progress) { progress_ = &progress; }

 private:
  void norm(std::string name, std::int64_t width) {
    add({std::move(name), Type::f32, {width}, [width](const core::Sink& sink) {
           const std::vector<float> ones(static_cast<std::size_t>(width), 1.0f);
           sink(std::as_bytes(std::span(ones)));
         }});
  }

  void matrix(std::string name, const Shape& shape) {
    // The name of an element type means that type for all matrices.
    const bool uniform = core::info(mixture_.type).name == mixture_.name;
    const Type stored = uniform ? core::storable(mixture_.type, shape) : *core::mixed_type(mixture_, name, shape, facts_);
    const std::uint64_t first = parameters_;
    add({std::move(name), stored, shape,
         [this, stored, shape, first](const core::Sink& sink) { write(stored, shape, first, sink); }});
  }

  void add(Outgoing tensor) {
    parameters_ += static_cast<std::uint64_t>(core::element_count(tensor.shape));
    bytes_ += core::byte_size(tensor.type, tensor.shape);
    tensors_.push_back(std::move(tensor));
  }

  void write(Type stored, const Shape& shape, std::uint64_t first, const core::Sink& sink) {
    constexpr std::int64_t kBatchWeights = 1 << 20;
    const std::int64_t rows = shape[0], columns = shape[1];
    const std::int64_t batch = std::max<std::int64_t>(1, kBatchWeights / columns);
    const std::uint64_t row_bytes = core::byte_size(stored, {columns});
    std::vector<float> values(static_cast<std::size_t>(batch * columns));
    std::vector<std::byte> bytes(static_cast<std::size_t>(batch) * row_bytes);
    for (std::int64_t begin = 0; begin < rows; begin += batch) {
      const std::int64_t count = std::min(batch, rows - begin);
      pool_.parallel_for(count, 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t row = from; row < to; ++row) {
          const auto floats = std::span(values).subspan(static_cast<std::size_t>(row * columns), static_cast<std::size_t>(columns));
          fill_normal(seed_, first + static_cast<std::uint64_t>((begin + row) * columns), floats);
          core::quantize(stored, floats, std::span(bytes).subspan(static_cast<std::size_t>(row) * row_bytes, row_bytes));
        }
      });
      sink(core::Bytes(bytes).first(static_cast<std::size_t>(count) * row_bytes));
      if (progress_) progress_->add(static_cast<std::uint64_t>(count) * row_bytes);
    }
  }

  const core::Mixture& mixture_;
  core::MixtureModel facts_;
  std::uint64_t seed_;
  core::Pool& pool_;
  Progress* progress_ = nullptr;
  std::vector<Outgoing> tensors_;
  std::uint64_t parameters_ = 0, bytes_ = 0;
};

int run_make_model(const MakeModelOptions& options) {
  const NamedShape& shape = find_shape(options.shape);
  const core::Mixture* mixture = core::find_mixture(options.type);
  check(mixture != nullptr, Kind::usage, "unknown element type '{}'; known: {}", options.type, core::mixture_names());
  check(std::filesystem::path(options.out).extension() == ".gguf", Kind::usage, "make-model: {}: the name must end in .gguf",
        options.out);
  const LlamaConfig config = config_of(shape);
  core::Pool pool(options.threads > 0 ? options.threads : describe_machine().cores);
  Plan plan(config, *mixture, options.seed, pool);
  {
    Progress progress(plan.bytes());
    plan.show(progress);
    core::GgufMetadata metadata = core::gguf_metadata(shape.name, config, vocabulary_of(config.vocabulary), mixture->type);
    core::set_count(metadata, "general.file_type", mixture->file_type);
    core::write_gguf(options.out, metadata, plan.tensors());
  }
  const std::uint64_t bytes = std::filesystem::file_size(options.out);
  if (options.json)
    print_json({{"out", options.out}, {"shape", shape.name}, {"type", options.type}, {"seed", options.seed},
                {"parameters", plan.parameters()}, {"bytes", bytes}});
  else
    print(fmt::format("{}: {}, {} parameters, {}, {}\n", options.out, shape.name, plan.parameters(), options.type, human_bytes(bytes)));
  return 0;
}

}  // namespace

std::function<int()> make_model(CLI::App& app) {
  auto options = std::make_shared<MakeModelOptions>();
  std::string shapes;
  for (const NamedShape& shape : kShapes) shapes += fmt::format("{}{}", shapes.empty() ? "" : ", ", shape.name);
  app.add_option("SHAPE", options->shape, shapes)->required();
  app.add_option("OUT", options->out, "GGUF file to write")->required();
  app.add_option("--type", options->type, core::mixture_names())->capture_default_str();
  add_seed_option(app, options->seed, "of the weights");
  app.add_option("--threads", options->threads, "how many write (default: all cores); the file does not depend on it")
      ->check(CLI::Range(1, 1024));
  add_json_flag(app, options->json);
  return [options] { return run_make_model(*options); };
}

}  // namespace starling::tools::bench
