// What recurrent layers do over time. A row of the batch never meets another, so threads share the rows and each goes
// through the whole sequence alone, with the weights packed once. A step's sums are one chain that begins with the
// bias and goes over the inputs, then over the outputs of the step before (a GRU's parts are chains of their own): the
// same bits for any batch and number of threads.
#pragma once

#include <cstdint>

#include "core/arena.h"
#include "core/pool.h"

namespace starling::core {

struct RecurrentSize {
  std::int64_t time, batch, inputs, width;
};
/// For each of an LSTM's 4 gates (input, forget, cell, output) or a GRU's 3 (reset, update, new) `width` rows of w_in
/// {.., inputs} and w_hidden {.., width} and values of the biases; bias_hidden may be null for an LSTM.
struct RecurrentWeights {
  const float *w_in, *w_hidden, *bias_in, *bias_hidden;
};

/// An LSTM over time, from a state of zeros. Memory of the caller, which backward needs again.
struct LstmMemory {
  float* gates;  // {time, batch, 4 width}: what the gates let through; after backward the gradient of the sums before them
  float* cells;  // {time, batch, width}
  float* bent;   // {time, batch, width}: tanh of the cells
  float* out;    // {time, batch, width}
};
/// A GRU likewise.
struct GruMemory {
  float* gates;   // {time, batch, 3 width}: as above; after backward the gradient of the inputs' part of the sums
  float* hidden;  // {time, batch, 3 width}: the state's part of the sums with its bias; after backward its gradient
  float* out;     // {time, batch, width}
};
/// Where the gradient of the inputs {time, batch, inputs} goes: null for nowhere; set if `fresh`, else added to.
struct InputsGradient {
  float* values;
  bool fresh;
};

/// x {time, batch, inputs}; packed weights take memory from `scratch`.
void lstm_forward(const RecurrentSize& size, const float* x, const RecurrentWeights& weights, const LstmMemory& memory, Arena& scratch, Pool& pool);
void gru_forward(const RecurrentSize& size, const float* x, const RecurrentWeights& weights, const GruMemory& memory, Arena& scratch, Pool& pool);

/// From the gradient of the outputs, d_out {time, batch, width}. Only once, as it replaces what it needs.
void lstm_backward(const RecurrentSize& size, const RecurrentWeights& weights, const LstmMemory& memory, const float* d_out, const InputsGradient& d_x,
                   Arena& scratch, Pool& pool);
void gru_backward(const RecurrentSize& size, const RecurrentWeights& weights, const GruMemory& memory, const float* d_out, const InputsGradient& d_x,
                  Arena& scratch, Pool& pool);

}  // namespace starling::core
