// Feed-forward parts that are a mixture of experts (Jiang et al. 2024, equation of section 2.1; Qwen2-MoE's shared expert).
#include <algorithm>

#include "core/error.h"
#include "core/models/llama_workspace.h"
#include "core/ops/elementwise.h"
#include "core/ops/grid.h"
#include "core/ops/matmul.h"
#include "core/ops/swiglu.h"

namespace starling::core {
namespace {

using Buffers = LlamaWorkspace::Buffers;

class Mixture {
 public:
  Mixture(const MixtureJob& job, std::span<const float> x, Buffers& buffers, std::span<double> parts, std::span<float> total)
      : job_(job), config_(job.shard.config), x_(x), b_(buffers), parts_(parts), total_(total) {
    const std::int64_t unit = units(config_).ffn_columns;
    const auto units_in = [&](std::int64_t columns) { return (columns + unit - 1) / unit; };
    limit_ = grid_limit(config_.experts_used * units_in(config_.ffn) + units_in(config_.shared_ffn));
  }

  /// Which experts every row goes to.
  void route(const Tensor& router) {
    const auto weights = std::span(b_.routing).first(static_cast<std::size_t>(job_.rows * config_.experts));
    matmul(router, x_, job_.rows, weights, job_.pool);
    core::route(weights, job_.rows, config_.experts_used, config_.experts_normalised,
                std::span(b_.routes).first(static_cast<std::size_t>(job_.rows * config_.experts_used)), job_.pool);
  }

  /// The rows that go to `expert`, with its share of each; `chosen` then says which.
  std::span<const Route> rows_of(std::int64_t expert) {
    std::size_t count = 0;
    const auto used = static_cast<std::size_t>(config_.experts_used);
    for (std::size_t row = 0; row < static_cast<std::size_t>(job_.rows); ++row)
      for (const Route& route : std::span(b_.routes).subspan(row * used, used))
        if (route.expert == expert) b_.chosen[count++] = {static_cast<std::int32_t>(row), route.weight};
    return std::span(b_.chosen).first(count);
  }

  /// All rows, with their shares of the shared expert: sigmoid(w x).
  std::span<const Route> all_rows(const Tensor& shared_router) {
    const auto rows = static_cast<std::size_t>(job_.rows);
    const auto weights = std::span(b_.routing).first(rows);
    matmul(shared_router, x_, job_.rows, weights, job_.pool);
    activate(Activation::sigmoid, weights, weights, job_.pool);
    for (std::size_t row = 0; row < rows; ++row) b_.chosen[row] = {static_cast<std::int32_t>(row), weights[row]};
    return std::span(b_.chosen).first(rows);
  }

  /// Adds what `expert` gives to the `chosen` rows (Route::expert is the row).
  /// `begin` is the slice's first column of the model's expert.
  void add(const LlamaExpert& expert, std::int64_t begin, std::span<const Route> chosen) {
    const auto columns = static_cast<std::size_t>(expert.gate.rows()), width = static_cast<std::size_t>(config_.width);
    if (chosen.empty() || columns == 0) return;
    const auto rows = static_cast<std::int64_t>(chosen.size());
    const std::int64_t first = first_column(expert.down, begin);
    const auto x = std::span(b_.chosen_rows).first(chosen.size() * width);
    for (std::size_t i = 0; i < chosen.size(); ++i) std::copy_n(x_.data() + static_cast<std::size_t>(chosen[i].expert) * width, width, x.data() + i * width);
    const auto gate = std::span(b_.gate).first(chosen.size() * columns), up = std::span(b_.up).first(chosen.size() * columns);
    matmul(expert.gate, x, rows, gate, job_.pool);
    matmul(expert.up, x, rows, up, job_.pool);
    swiglu(gate, up, job_.pool);
    for (std::size_t i = 0; i < chosen.size(); ++i) scale(chosen[i].weight, gate.subspan(i * columns, columns), gate.subspan(i * columns, columns));
    if (parts_.empty()) {
      matmul(expert.down, gate, rows, x, job_.pool, first);
      for (std::size_t i = 0; i < chosen.size(); ++i) sum_into(total_, chosen[i].expert, x.subspan(i * width, width));
      return;
    }
    const auto terms = std::span(b_.chosen_parts).first(chosen.size() * width);
    const float largest = matmul_grid(expert.down, units(config_).ffn_columns, gate, rows, terms, job_.pool, first);
    check(largest <= limit_, Kind::unsupported, "layer {}: a partial sum of the experts is {}, outside the exact range of {}; use --sum fast", job_.layer,
          largest, limit_);
    for (std::size_t i = 0; i < chosen.size(); ++i) sum_into(parts_, chosen[i].expert, terms.subspan(i * width, width));
  }

 private:
  template <class T>
  static void sum_into(std::span<T> sums, std::int32_t row, std::span<const T> terms) {
    T* target = sums.data() + static_cast<std::size_t>(row) * terms.size();
    for (std::size_t i = 0; i < terms.size(); ++i) target[i] += terms[i];
  }
  template <class T>
  static void sum_into(std::span<T> sums, std::int32_t row, std::span<T> terms) {
    sum_into(sums, row, std::span<const T>(terms));
  }

  const MixtureJob& job_;
  const LlamaConfig& config_;
  std::span<const float> x_;
  Buffers& b_;
  std::span<double> parts_;
  std::span<float> total_;
  float limit_ = 0;
};

}  // namespace

void add_experts(const MixtureJob& job, std::span<const float> x, LlamaWorkspace::Buffers& buffers, std::span<double> parts,
                 std::span<float> total) {
  const LlamaBlock& block = job.shard.blocks[static_cast<std::size_t>(job.layer)];
  const LlamaConfig& config = job.shard.config;
  std::fill(parts.begin(), parts.end(), 0.0);
  std::fill(total.begin(), total.end(), 0.0f);
  Mixture mixture(job, x, buffers, parts, total);
  mixture.route(block.router);
  for (std::int64_t expert = 0; expert < config.experts; ++expert)
    mixture.add(block.experts[static_cast<std::size_t>(expert)], job.shard.slice.ffn_begin, mixture.rows_of(expert));
  if (config.shared_ffn > 0) mixture.add(block.shared, shared_columns(config, job.shard.slice).begin, mixture.all_rows(block.shared_router));
}

}  // namespace starling::core
