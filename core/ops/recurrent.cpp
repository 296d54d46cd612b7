#include "core/ops/recurrent.h"

#include <functional>

#include "core/ops/recurrent_job.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/recurrent.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/functions.h"
#include "core/ops/panels.h"
#include "core/ops/vectors.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

HWY_INLINE VF product(VF a, VF b) { return hn::Mul(a, b); }
template <class... Rest>
HWY_INLINE VF product(VF a, VF b, Rest... rest) {
  return product(hn::Mul(a, b), rest...);
}
HWY_INLINE VF rest_of_one(VF v) { return hn::Sub(hn::Set(DF(), 1.0f), v); }
HWY_INLINE VF rest_of_square(VF v) { return rest_of_one(hn::Mul(v, v)); }

/// The bias and the inputs' part of the sums of one step's rows; where they begin.
HWY_INLINE float* inputs_part(const RecurrentJob& job, std::int64_t row, std::int64_t step, std::int64_t begin, std::int64_t end, float* sums) {
  const std::int64_t at = step * job.size.batch + begin, inputs = job.size.inputs;
  const Apart x{job.x + at * inputs, static_cast<std::size_t>(inputs)};
  panel_product(x, end - begin, inputs, job.packed_in, row, From::bias, job.bias_in, sums + at * row, row);
  return sums + at * row;
}

/// What the gradient of one step's sums means for its inputs.
HWY_INLINE void inputs_gradient(const RecurrentJob& job, std::int64_t row, std::int64_t step, std::int64_t begin, std::int64_t end, const float* d_sums) {
  if (!job.d_x.values) return;
  const std::int64_t at = step * job.size.batch + begin, inputs = job.size.inputs;
  panel_product(Apart{d_sums, static_cast<std::size_t>(row)}, end - begin, row, job.packed_in, inputs, job.d_x.fresh ? From::zero : From::c, nullptr,
                job.d_x.values + at * inputs, inputs);
}

/// What the gradient of one step's sums means for the outputs of the step before.
HWY_INLINE void state_gradient(const RecurrentJob& job, std::int64_t row, std::int64_t begin, std::int64_t end, From from, const float* d_sums) {
  const std::int64_t width = job.size.width;
  panel_product(Apart{d_sums, static_cast<std::size_t>(row)}, end - begin, row, job.packed_hidden, width, from, nullptr, job.d_state + begin * width, width);
}

/// The outputs of the step before; anything for the first step, which looks at none.
HWY_INLINE const float* state_before(const float* out, const RecurrentJob& job, std::int64_t step, std::int64_t begin) {
  return out + std::max<std::int64_t>(step - 1, 0) * job.state() + begin * job.size.width;
}

/// One row: from sums to what the gates let through, the new cells, their tanh and the outputs. before: null at first.
void lstm_row(float* gate, const float* before, std::size_t width, float* cell, float* bent, float* out) {
  each_vector(width, [&](std::size_t i, auto n) {
    const auto let_through = [&](std::size_t which, auto f) {
      float* at = gate + which * width + i;
      const VF v = f(load_some(at, n));
      store_some(v, at, n);
      return v;
    };
    const auto sigmoid = [](VF v) { return sigmoid_lanes(v); };
    const VF in = let_through(0, sigmoid), keep = let_through(1, sigmoid);
    const VF fresh = let_through(2, [](VF v) { return tanh_lanes(v); }), open = let_through(3, sigmoid);
    const VF kept = before ? hn::Mul(keep, load_some(before + i, n)) : hn::Zero(DF());
    const VF now = hn::Add(hn::Mul(in, fresh), kept), c = tanh_lanes(now);
    store_some(now, cell + i, n);
    store_some(c, bent + i, n);
    store_some(hn::Mul(open, c), out + i, n);
  });
}

void lstm_forward_rows(const RecurrentJob& job, const LstmMemory& m, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = job.size.width, row = 4 * width, state = job.state();
  for (std::int64_t step = 0; step < job.size.time; ++step) {
    float* gates = inputs_part(job, row, step, begin, end, m.gates);
    panel_product(Apart{state_before(m.out, job, step, begin), static_cast<std::size_t>(width)}, end - begin, step > 0 ? width : 0, job.packed_hidden, row,
                  From::c, nullptr, gates, row);
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t at = step * state + b * width;
      lstm_row(gates + (b - begin) * row, step > 0 ? m.cells + at - state : nullptr, static_cast<std::size_t>(width), m.cells + at, m.bent + at, m.out + at);
    }
  }
}

/// One row: d_state and d_cell come from the step after; d_cell becomes what the step before is owed, the gates their
/// gradient.
void lstm_row_backward(float* gate, const float* before, const float* bent, const float* d_out, const float* d_state, std::size_t width, float* d_cell) {
  each_vector(width, [&](std::size_t i, auto n) {
    const auto load = [&](const float* p) { return load_some(p + i, n); };
    const VF in = load(gate), keep = load(gate + width), fresh = load(gate + 2 * width), open = load(gate + 3 * width);
    const VF c = load(bent), dh = hn::Add(load(d_out), load(d_state));
    const VF dc = hn::Add(load(d_cell), product(dh, open, rest_of_square(c)));
    store_some(product(dc, fresh, in, rest_of_one(in)), gate + i, n);
    store_some(before ? product(dc, load(before), keep, rest_of_one(keep)) : hn::Zero(DF()), gate + width + i, n);
    store_some(product(dc, in, rest_of_square(fresh)), gate + 2 * width + i, n);
    store_some(product(dh, c, open, rest_of_one(open)), gate + 3 * width + i, n);
    store_some(hn::Mul(dc, keep), d_cell + i, n);
  });
}

void lstm_backward_rows(const RecurrentJob& job, const LstmMemory& m, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = job.size.width, row = 4 * width, state = job.state();
  std::fill(job.d_cell + begin * width, job.d_cell + end * width, 0.0f);
  std::fill(job.d_state + begin * width, job.d_state + end * width, 0.0f);
  for (std::int64_t step = job.size.time - 1; step >= 0; --step) {
    float* gates = m.gates + (step * job.size.batch + begin) * row;
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t at = step * state + b * width;
      lstm_row_backward(gates + (b - begin) * row, step > 0 ? m.cells + at - state : nullptr, m.bent + at, job.d_out + at, job.d_state + b * width,
                        static_cast<std::size_t>(width), job.d_cell + b * width);
    }
    inputs_gradient(job, row, step, begin, end, gates);
    if (step > 0) state_gradient(job, row, begin, end, From::zero, gates);
  }
}

/// One row: from the inputs' and the state's part of the sums to what the gates let through. before: null at first.
void gru_row(float* gate, const float* part, const float* before, std::size_t width, float* out) {
  each_vector(width, [&](std::size_t i, auto n) {
    const auto load = [&](const float* p) { return load_some(p + i, n); };
    const VF reset = sigmoid_lanes(hn::Add(load(gate), load(part))), update = sigmoid_lanes(hn::Add(load(gate + width), load(part + width)));
    const VF fresh = tanh_lanes(hn::Add(load(gate + 2 * width), hn::Mul(reset, load(part + 2 * width))));
    store_some(reset, gate + i, n);
    store_some(update, gate + width + i, n);
    store_some(fresh, gate + 2 * width + i, n);
    const VF kept = before ? hn::Mul(update, load(before)) : hn::Zero(DF());
    store_some(hn::Add(hn::Mul(rest_of_one(update), fresh), kept), out + i, n);
  });
}

void gru_forward_rows(const RecurrentJob& job, const GruMemory& m, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = job.size.width, row = 3 * width, state = job.state();
  for (std::int64_t step = 0; step < job.size.time; ++step) {
    float* gates = inputs_part(job, row, step, begin, end, m.gates);
    float* hidden = m.hidden + (gates - m.gates);
    panel_product(Apart{state_before(m.out, job, step, begin), static_cast<std::size_t>(width)}, end - begin, step > 0 ? width : 0, job.packed_hidden, row,
                  From::bias, job.bias_hidden, hidden, row);
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t at = step * state + b * width, gate = (b - begin) * row;
      gru_row(gates + gate, hidden + gate, step > 0 ? m.out + at - state : nullptr, static_cast<std::size_t>(width), m.out + at);
    }
  }
}

/// One row: d_state comes from the step after and becomes what the step before is owed beside the state's part; the
/// gates and the state's part become their gradients.
void gru_row_backward(float* gate, float* part, const float* before, const float* d_out, std::size_t width, float* d_state) {
  each_vector(width, [&](std::size_t i, auto n) {
    const auto load = [&](const float* p) { return load_some(p + i, n); };
    const VF reset = load(gate), update = load(gate + width), fresh = load(gate + 2 * width);
    const VF carried = hn::Add(load(d_out), load(d_state)), held = before ? load(before) : hn::Zero(DF());
    const VF d_fresh = product(carried, rest_of_one(update), rest_of_square(fresh));
    const VF d_update = product(carried, hn::Sub(held, fresh), update, rest_of_one(update));
    const VF d_reset = product(d_fresh, load(part + 2 * width), reset, rest_of_one(reset));
    for (float* d : {gate, part}) {
      store_some(d_reset, d + i, n);
      store_some(d_update, d + width + i, n);
    }
    store_some(d_fresh, gate + 2 * width + i, n);
    store_some(hn::Mul(d_fresh, reset), part + 2 * width + i, n);
    store_some(hn::Mul(carried, update), d_state + i, n);
  });
}

void gru_backward_rows(const RecurrentJob& job, const GruMemory& m, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = job.size.width, row = 3 * width, state = job.state();
  std::fill(job.d_state + begin * width, job.d_state + end * width, 0.0f);
  for (std::int64_t step = job.size.time - 1; step >= 0; --step) {
    float* gates = m.gates + (step * job.size.batch + begin) * row;
    float* hidden = m.hidden + (gates - m.gates);
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t at = step * state + b * width, gate = (b - begin) * row;
      gru_row_backward(gates + gate, hidden + gate, step > 0 ? m.out + at - state : nullptr, job.d_out + at, static_cast<std::size_t>(width),
                       job.d_state + b * width);
    }
    inputs_gradient(job, row, step, begin, end, gates);
    if (step > 0) state_gradient(job, row, begin, end, From::c, hidden);
  }
}

std::int64_t panel_columns() { return static_cast<std::int64_t>(kPanelColumns); }

void pack_panels(const MatrixView& b, std::int64_t begin, std::int64_t end, float* packed) {
  constexpr auto kWide = static_cast<std::int64_t>(kPanelColumns);
  for (std::int64_t panel = begin; panel < end; ++panel) pack_panel(b, panel * kWide, packed + panel * kWide * b.rows);
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(lstm_forward_rows);
HWY_EXPORT(lstm_backward_rows);
HWY_EXPORT(gru_forward_rows);
HWY_EXPORT(gru_backward_rows);
HWY_EXPORT(panel_columns);
HWY_EXPORT(pack_panels);

namespace {

constexpr std::int64_t kFewestRows = 4;  // for which a thread reads all weights at every step

float* floats(Arena& arena, std::int64_t count) { return arena.floats(static_cast<std::size_t>(count)); }

float* pack(const MatrixView& b, Arena& scratch, Pool& pool) {
  const std::int64_t wide = HWY_DYNAMIC_DISPATCH(panel_columns)(), panels = (b.columns + wide - 1) / wide;
  float* packed = floats(scratch, panels * wide * b.rows);
  const auto body = [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(pack_panels)(b, begin, end, packed); };
  pool.parallel_for(panels, 1, std::ref(body));
  return packed;
}

/// rows(begin, end) for equal shares of the batch.
template <class Rows>
void share_rows(std::int64_t batch, Pool& pool, Rows rows) {
  const std::int64_t shares = std::min<std::int64_t>(pool.threads(), (batch + kFewestRows - 1) / kFewestRows);
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t share = begin; share < end; ++share) rows(batch * share / shares, batch * (share + 1) / shares);
  };
  pool.parallel_for(shares, 1, std::ref(body));
}

RecurrentJob forward_job(const RecurrentSize& s, std::int64_t row, const float* x, const RecurrentWeights& w, Arena& scratch, Pool& pool) {
  RecurrentJob job{};
  job.size = s;
  job.x = x;
  job.packed_in = pack(transposed(row_major(w.w_in, row, s.inputs)), scratch, pool);
  job.packed_hidden = pack(transposed(row_major(w.w_hidden, row, s.width)), scratch, pool);
  job.bias_in = w.bias_in;
  job.bias_hidden = w.bias_hidden;
  return job;
}

RecurrentJob backward_job(const RecurrentSize& s, std::int64_t row, const RecurrentWeights& w, const float* d_out, const InputsGradient& d_x, Arena& scratch,
                          Pool& pool) {
  RecurrentJob job{};
  job.size = s;
  if (d_x.values) job.packed_in = pack(row_major(w.w_in, row, s.inputs), scratch, pool);
  job.packed_hidden = pack(row_major(w.w_hidden, row, s.width), scratch, pool);
  job.d_out = d_out;
  job.d_x = d_x;
  job.d_state = floats(scratch, job.state());
  job.d_cell = floats(scratch, job.state());
  return job;
}

}  // namespace

void lstm_forward(const RecurrentSize& size, const float* x, const RecurrentWeights& weights, const LstmMemory& memory, Arena& scratch, Pool& pool) {
  const std::int64_t row = 4 * size.width;
  RecurrentJob job = forward_job(size, row, x, weights, scratch, pool);
  if (weights.bias_hidden) {
    float* both = floats(scratch, row);
    for (std::int64_t i = 0; i < row; ++i) both[i] = weights.bias_in[i] + weights.bias_hidden[i];
    job.bias_in = both;
  }
  share_rows(size.batch, pool, [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(lstm_forward_rows)(job, memory, begin, end); });
}

void gru_forward(const RecurrentSize& size, const float* x, const RecurrentWeights& weights, const GruMemory& memory, Arena& scratch, Pool& pool) {
  const RecurrentJob job = forward_job(size, 3 * size.width, x, weights, scratch, pool);
  share_rows(size.batch, pool, [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(gru_forward_rows)(job, memory, begin, end); });
}

void lstm_backward(const RecurrentSize& size, const RecurrentWeights& weights, const LstmMemory& memory, const float* d_out, const InputsGradient& d_x,
                   Arena& scratch, Pool& pool) {
  const RecurrentJob job = backward_job(size, 4 * size.width, weights, d_out, d_x, scratch, pool);
  share_rows(size.batch, pool, [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(lstm_backward_rows)(job, memory, begin, end); });
}

void gru_backward(const RecurrentSize& size, const RecurrentWeights& weights, const GruMemory& memory, const float* d_out, const InputsGradient& d_x,
                  Arena& scratch, Pool& pool) {
  const RecurrentJob job = backward_job(size, 3 * size.width, weights, d_out, d_x, scratch, pool);
  share_rows(size.batch, pool, [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(gru_backward_rows)(job, memory, begin, end); });
}

}  // namespace starling::core
#endif
