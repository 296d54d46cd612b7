// Batch, group and layer normalisation are one thing: groups of values share a mean and a variance, and each value
// belongs to a channel with a gain and a bias.
#include <cmath>

#include "core/ops/moments.h"
#include "core/train/ops.h"

namespace starling::core {
namespace {

/// Values as {outer, channels, inner}.
struct NormLayout {
  std::int64_t outer, channels, inner;
  std::int64_t place(std::int64_t image, std::int64_t channel) const { return (image * channels + channel) * inner; }
  /// A channel of all images.
  Runs channel() const { return {outer, inner, channels * inner}; }
};

NormLayout image_layout(const Tape& t, Var x) {
  const Shape& shape = t.shape(x);
  ensure(shape.size() >= 2, "a norm over channels of no channels");
  return {shape[0], shape[1], t.size(x) / (shape[0] * shape[1])};
}

float inverse_deviation(double variance, float epsilon) { return static_cast<float>(1 / std::sqrt(variance + static_cast<double>(epsilon))); }

/// body(i) for each i < count of `values` values each.
template <class Body>
void share(std::int64_t count, std::int64_t values, Pool& pool, Body body) {
  const auto range = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  };
  pool.parallel_for(count, std::max<std::int64_t>(1, 16384 / values), std::ref(range));
}

/// What every norm goes backward from, and to, but for x.
struct Slopes {
  const float *x, *dy, *gains;
  float *dgain, *dbias;
};
Slopes slopes_of(Tape& t, Var x, Var y, Var gain, Var bias) {
  return {t.value(x).data(), t.gradient(y).data(), t.value(gain).data(), t.gradient(gain).data(), t.gradient(bias).data()};
}

/// What follows a batch norm: nothing, or a relu, before which a shortcut may be added.
struct After {
  bool relu;
  Var shortcut;
};

Var batch_norm_and(Tape& t, Var x, const BatchNorm& norm, const After& after) {
  const NormLayout l = image_layout(t, x);
  const Runs runs = l.channel();
  const Var gain = t.parameter(norm.gain), bias = t.parameter(norm.bias);
  const std::span<float> running_mean = t.statistic(norm.running_mean), running_variance = t.statistic(norm.running_variance);
  ensure(t.size(gain) == l.channels && t.size(bias) == l.channels && static_cast<std::int64_t>(running_mean.size()) == l.channels,
         "a batch norm of another number of channels");
  const bool of_batch = t.training(), with_shortcut = after.shortcut.id >= 0;
  ensure(!with_shortcut || t.shape(after.shortcut) == t.shape(x), "a shortcut of another shape");
  const Var y = t.make(t.shape(x), t.wants(x) || t.wants(gain) || (with_shortcut && t.wants(after.shortcut)));
  const float* more = with_shortcut ? t.value(after.shortcut).data() : nullptr;
  float *means = t.floats(l.channels), *scales = t.floats(l.channels);  // 1 / standard deviation
  const float* in = t.value(x).data();
  float* out = t.value(y).data();
  const double count = runs.values();
  const float* g = t.value(gain).data();
  const float* b = t.value(bias).data();
  share(l.channels, l.outer * l.inner, t.pool(), [&](std::int64_t c) {
    const auto at = static_cast<std::size_t>(c);
    Moments m{static_cast<double>(running_mean[at]), static_cast<double>(running_variance[at])};
    if (of_batch) {
      m = moments(in + l.place(0, c), runs);
      running_mean[at] += norm.momentum * (static_cast<float>(m.mean) - running_mean[at]);
      const double unbiased = count > 1 ? m.variance * count / (count - 1) : m.variance;
      running_variance[at] += norm.momentum * (static_cast<float>(unbiased) - running_variance[at]);
    }
    means[c] = static_cast<float>(m.mean);
    scales[c] = inverse_deviation(m.variance, norm.epsilon);
    const float slope = scales[c] * g[c], shift = b[c] - means[c] * slope;
    const std::int64_t place = l.place(0, c);
    if (after.relu)
      scale_shift_relu(in + place, more ? more + place : nullptr, runs, slope, shift, out + place);
    else
      scale_and_shift(in + place, runs, slope, shift, out + place);
  });
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const auto [xs, dy, gains, dgain, dbias] = slopes_of(tape, x, y, gain, bias);
      const auto written = [&](Var v) { return v.id >= 0 && tape.wants(v) ? tape.written_gradient(v) : Tape::Written{}; };
      const Tape::Written to_shortcut = written(after.shortcut), to_x = written(x);
      share(l.channels, l.outer * l.inner, tape.pool(), [&](std::int64_t c) {
        const std::int64_t at = l.place(0, c);
        const Arriving arriving{dy + at, after.relu ? out + at : nullptr};
        const GradientSums sums = gradient_sums(xs + at, arriving, runs, means[c]);
        const double scale = static_cast<double>(scales[c]), slope = scale * static_cast<double>(gains[c]);
        dgain[c] += static_cast<float>(sums.product * scale);
        dbias[c] += static_cast<float>(sums.dy);
        if (to_shortcut.values.data()) pass_gradient(arriving, runs, to_shortcut.fresh, to_shortcut.values.data() + at);
        if (!to_x.values.data()) return;
        const double share_of_each = of_batch ? slope / count : 0.0;  // the batch's own moments depend on x
        const InputGradient g_x{means[c], static_cast<float>(slope), static_cast<float>(share_of_each * sums.dy),
                                static_cast<float>(share_of_each * sums.product * scale * scale)};
        input_gradient(xs + at, arriving, runs, g_x, to_x.fresh, to_x.values.data() + at);
      });
    });
  return y;
}

}  // namespace

Var batch_norm(Tape& t, Var x, const BatchNorm& norm) { return batch_norm_and(t, x, norm, {false, {}}); }
Var batch_norm_relu(Tape& t, Var x, const BatchNorm& norm) { return batch_norm_and(t, x, norm, {true, {}}); }
Var batch_norm_add_relu(Tape& t, Var x, const BatchNorm& norm, Var shortcut) { return batch_norm_and(t, x, norm, {true, shortcut}); }

Var group_norm(Tape& t, Var x, Var gain, Var bias, std::int64_t groups, float epsilon) {
  const NormLayout l = image_layout(t, x);
  ensure(groups > 0 && l.channels % groups == 0 && t.size(gain) == l.channels && t.size(bias) == l.channels, "groups do not divide the channels");
  const std::int64_t channels = l.channels / groups, inner = l.inner, size = channels * inner, all = l.outer * groups;
  const Runs run{1, inner, inner};
  const Var y = t.make(t.shape(x), t.wants(x) || t.wants(gain));
  float *means = t.floats(all), *scales = t.floats(all);
  const float* in = t.value(x).data();
  float* out = t.value(y).data();
  const float* g = t.value(gain).data();
  const float* b = t.value(bias).data();
  share(all, size, t.pool(), [&](std::int64_t k) {
    const Moments m = moments(in + k * size, {1, size, size});
    means[k] = static_cast<float>(m.mean);
    scales[k] = inverse_deviation(m.variance, epsilon);
    for (std::int64_t i = 0; i < channels; ++i) {
      const std::int64_t c = k % groups * channels + i, at = k * size + i * inner;
      const float slope = scales[k] * g[c];
      scale_and_shift(in + at, run, slope, b[c] - means[k] * slope, out + at);
    }
  });
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const auto [xs, dy, gains, dgain, dbias] = slopes_of(tape, x, y, gain, bias);
      float* dx = tape.wants(x) ? tape.gradient(x).data() : nullptr;
      const Arena::Mark mark = tape.arena().mark();
      double* sums = tape.arena().doubles(static_cast<std::size_t>(2 * l.outer * l.channels));  // of each channel of each image
      share(all, size, tape.pool(), [&](std::int64_t k) {
        double sum = 0, product = 0;
        const double scale = static_cast<double>(scales[k]);
        for (std::int64_t i = 0; i < channels; ++i) {
          const GradientSums part = gradient_sums(xs + k * size + i * inner, {dy + k * size + i * inner, nullptr}, run, means[k]);
          const auto slope = static_cast<double>(gains[k % groups * channels + i]);
          sum += slope * part.dy;
          product += slope * part.product;
          sums[2 * (k * channels + i)] = part.dy;
          sums[2 * (k * channels + i) + 1] = part.product * scale;
        }
        const double share_of_each = scale / static_cast<double>(size);
        for (std::int64_t i = 0; dx && i < channels; ++i) {
          const InputGradient to_x{means[k], scales[k] * gains[k % groups * channels + i], static_cast<float>(share_of_each * sum),
                                   static_cast<float>(share_of_each * product * scale * scale)};
          input_gradient(xs + k * size + i * inner, {dy + k * size + i * inner, nullptr}, run, to_x, false, dx + k * size + i * inner);
        }
      });
      for (std::int64_t i = 0; i < l.outer * l.channels; ++i) {
        dbias[i % l.channels] += static_cast<float>(sums[2 * i]);
        dgain[i % l.channels] += static_cast<float>(sums[2 * i + 1]);
      }
      tape.arena().release(mark);
    });
  return y;
}

Var layer_norm(Tape& t, Var x, Var gain, Var bias, float epsilon) {
  const std::int64_t size = t.shape(x).back(), rows = t.size(x) / size;
  ensure(t.size(gain) == size && t.size(bias) == size, "a layer norm of another width");
  const Var y = t.make(t.shape(x), t.wants(x) || t.wants(gain));
  float *means = t.floats(rows), *scales = t.floats(rows);
  const float* in = t.value(x).data();
  float* out = t.value(y).data();
  const float* g = t.value(gain).data();
  const float* b = t.value(bias).data();
  share(rows, size, t.pool(), [&](std::int64_t k) {
    const Moments m = moments(in + k * size, {1, size, size});
    means[k] = static_cast<float>(m.mean);
    scales[k] = inverse_deviation(m.variance, epsilon);
    normalise_row(in + k * size, {size, means[k], scales[k]}, g, b, out + k * size);
  });
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const auto [xs, dy, gains, dgain, dbias] = slopes_of(tape, x, y, gain, bias);
      // One thread: every row adds to the same gains.
      for (std::int64_t k = 0; k < rows; ++k) row_gain_gradient(xs + k * size, dy + k * size, {size, means[k], scales[k]}, dgain, dbias);
      if (!tape.wants(x)) return;
      float* dx = tape.gradient(x).data();
      share(rows, size, tape.pool(), [&](std::int64_t k) {
        const Row row{size, means[k], scales[k]};
        const GradientSums sums = row_gradient_sums(xs + k * size, dy + k * size, row, gains);
        const double scale = static_cast<double>(scales[k]), share_of_each = scale / static_cast<double>(size);
        row_input_gradient(xs + k * size, dy + k * size, row, gains, static_cast<float>(share_of_each * sums.dy),
                           static_cast<float>(share_of_each * sums.product * scale * scale), dx + k * size);
      });
    });
  return y;
}

}  // namespace starling::core
