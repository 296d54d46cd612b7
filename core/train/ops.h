// What models are made of: operations on values of a tape. Shapes are checked; a mismatch is Kind::internal, as models
// are programs, except where user data decides (labels, ids: Kind::malformed).
#pragma once

#include <cstdint>
#include <span>

#include "core/ops/elementwise.h"
#include "core/random.h"
#include "core/train/tape.h"

namespace starling::core {

/// x {rows, inputs} * transpose(w {outputs, inputs}) + bias {outputs}.
Var dense(Tape& t, Var x, Var w, Var bias);
/// x {rows, inputs} * transpose(w {outputs, inputs}).
Var dense(Tape& t, Var x, Var w);

/// x {batch, channels, height, width}, w {outputs, channels, kernel_height, kernel_width}, bias {outputs}.
Var conv2d(Tape& t, Var x, Var w, Var bias, std::int64_t stride, std::int64_t pad);
Var conv2d(Tape& t, Var x, Var w, std::int64_t stride, std::int64_t pad);

/// Windows of size x size every `stride`, without padding; what does not fill a window is left out.
Var max_pool(Tape& t, Var x, std::int64_t size, std::int64_t stride);
Var average_pool(Tape& t, Var x, std::int64_t size, std::int64_t stride);
/// {batch, channels, height, width} to {batch, channels}: the mean over the image.
Var global_average_pool(Tape& t, Var x);

/// Every `stride`-th row and column of an image, with `extra` channels of zeros before and as many after: the
/// parameter-free shortcut of ResNets (He et al. 2016, option A).
Var subsample(Tape& t, Var x, std::int64_t stride, std::int64_t extra);

Var activate(Tape& t, Activation f, Var x);
Var add(Tape& t, Var a, Var b);
/// The same values in another shape of the same size.
Var reshape(Tape& t, Var x, Shape shape);
/// {batch, ...} to {batch, rest}.
Var flatten(Tape& t, Var x);

/// Normalisation of {batch, channels, ...} over all but the channels. In training by the batch's own mean and variance,
/// which then enter the running ones (running = (1 - momentum) * running + momentum * batch, the variance unbiased);
/// otherwise by the running ones.
struct BatchNorm {
  std::size_t gain, bias, running_mean, running_variance;  // indices of parameters
  float momentum = 0.1f, epsilon = 1e-5f;
};
Var batch_norm(Tape& t, Var x, const BatchNorm& norm);
/// relu(batch_norm(x)) and relu(batch_norm(x) + shortcut) with the same bits, in fewer passes over memory.
Var batch_norm_relu(Tape& t, Var x, const BatchNorm& norm);
Var batch_norm_add_relu(Tape& t, Var x, const BatchNorm& norm, Var shortcut);
/// {batch, channels, ...} over every group of channels of one image.
Var group_norm(Tape& t, Var x, Var gain, Var bias, std::int64_t groups, float epsilon = 1e-5f);
/// Over the last dimension, mean and variance.
Var layer_norm(Tape& t, Var x, Var gain, Var bias, float epsilon = 1e-5f);
/// Over the last dimension, root mean square only.
Var rms_norm(Tape& t, Var x, Var gain, float epsilon = 1e-5f);

/// Rows of the table {vocabulary, width}. Kind::malformed for an id outside of it.
Var embedding(Tape& t, std::span<const std::int32_t> ids, Var table);

/// In training each value is zero with probability p, the others grow by 1 / (1 - p); otherwise x itself. Which ones
/// depends on seed and place alone; `place.step` must differ for every use.
Var dropout(Tape& t, Var x, float p, std::uint64_t seed, const RandomPlace& place);

/// One layer of LSTM (Hochreiter and Schmidhuber 1997) over x {time, batch, inputs} from a state of zeros: the outputs
/// {time, batch, width}. w_in {4 width, inputs}, w_hidden {4 width, width}, biases {4 width} (of an LSTM the second may
/// be missing), gates in PyTorch's order: input, forget, cell, output.
struct Recurrent {
  Var w_in, w_hidden, bias_in, bias_hidden;
};
Var lstm(Tape& t, Var x, const Recurrent& weights);
/// One layer of GRU (Cho et al. 2014), as lstm() but with 3 width: reset, update, new.
Var gru(Tape& t, Var x, const Recurrent& weights);
/// Row `step` of {time, batch, width}; -1: the last.
Var time_step(Tape& t, Var x, std::int64_t step);

/// Softmax attention of `heads` heads. q {batch, length, heads * size}, k and v {batch, length, kv_heads * size}; head h
/// attends with kv head h * kv_heads / heads. `causal`: a position sees itself and what is before it.
Var attention(Tape& t, Var q, Var k, Var v, std::int64_t heads, std::int64_t kv_heads, bool causal);
/// Rotary position embedding of interleaved pairs (2p, 2p + 1) of every head, positions from 0. x {batch, length, ...}.
Var rotary(Tape& t, Var x, std::int64_t head_size, float base);
Var multiply(Tape& t, Var a, Var b);
/// silu(gate) * up, the gated activation of Llama.
Var swiglu(Tape& t, Var gate, Var up);
/// `part` added to every block of its size: biases, learned positions.
Var add_each(Tape& t, Var x, Var part);
/// {batch, length, width} to {batch, width}: the mean over the length.
Var mean_over_length(Tape& t, Var x);

/// The mean over rows of -log softmax(logits)[label]. logits {rows, classes}; a label of -1 does not count.
/// Kind::malformed for a label outside the classes.
Var cross_entropy(Tape& t, Var logits, std::span<const std::int32_t> labels);
/// The mean of (x - target)^2.
Var mean_squared_error(Tape& t, Var x, std::span<const float> target);
/// Hinton's distillation: temperature^2 times the mean over rows of KL(softmax(teacher / T) || softmax(logits / T)).
Var distillation(Tape& t, Var logits, std::span<const float> teacher_logits, float temperature);
/// a * x + b * y of two scalars: weighted losses.
Var combine(Tape& t, float a, Var x, float b, Var y);

}  // namespace starling::core
