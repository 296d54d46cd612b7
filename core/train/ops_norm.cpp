// Batch, group and layer normalisation are one thing: groups of values share a mean and a variance, and each value
// belongs to a channel with a gain and a bias.
#include <cmath>

#include "core/train/ops.h"

namespace starling::core {
namespace {

/// Values as {outer, channels, inner}.
struct Layout {
  std::int64_t outer, channels, inner;
};

Layout image_layout(const Tape& t, Var x) {
  const Shape& shape = t.shape(x);
  ensure(shape.size() >= 2, "a norm over channels of no channels");
  return {shape[0], shape[1], t.size(x) / (shape[0] * shape[1])};
}

struct Moments {
  double mean, variance;
};

/// Of runs of values that lie apart: two passes in double, in order.
template <class EachRun>
Moments moments(EachRun each_run, double count) {
  double sum = 0;
  each_run([&](const float* p, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(p[i]);
  });
  const double mean = sum / count;
  double squares = 0;
  each_run([&](const float* p, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
      const double d = static_cast<double>(p[i]) - mean;
      squares += d * d;
    }
  });
  return {mean, squares / count};
}

}  // namespace

Var batch_norm(Tape& t, Var x, const BatchNorm& norm) {
  const Layout l = image_layout(t, x);
  const Var gain = t.parameter(norm.gain), bias = t.parameter(norm.bias);
  const std::span<float> running_mean = t.statistic(norm.running_mean), running_variance = t.statistic(norm.running_variance);
  ensure(t.size(gain) == l.channels && t.size(bias) == l.channels && static_cast<std::int64_t>(running_mean.size()) == l.channels,
         "a batch norm of another number of channels");
  const bool of_batch = t.training();
  const Var y = t.make(t.shape(x), t.wants(x) || t.wants(gain));
  float* means = t.arena().floats(static_cast<std::size_t>(l.channels));
  float* scales = t.arena().floats(static_cast<std::size_t>(l.channels));  // 1 / standard deviation
  const float* in = t.value(x).data();
  float* out = t.value(y).data();
  const auto count = static_cast<double>(l.outer * l.inner);
  const float* g = t.value(gain).data();
  const float* b = t.value(bias).data();
  const auto place = [l](std::int64_t image, std::int64_t channel) { return (image * l.channels + channel) * l.inner; };
  const auto forward = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const auto at = static_cast<std::size_t>(c);
      Moments m{static_cast<double>(running_mean[at]), static_cast<double>(running_variance[at])};
      if (of_batch) {
        m = moments([&](auto visit) { for (std::int64_t n = 0; n < l.outer; ++n) visit(in + place(n, c), l.inner); }, count);
        running_mean[at] += norm.momentum * (static_cast<float>(m.mean) - running_mean[at]);
        const double unbiased = count > 1 ? m.variance * count / (count - 1) : m.variance;
        running_variance[at] += norm.momentum * (static_cast<float>(unbiased) - running_variance[at]);
      }
      means[c] = static_cast<float>(m.mean);
      scales[c] = static_cast<float>(1 / std::sqrt(m.variance + static_cast<double>(norm.epsilon)));
      const float slope = scales[c] * g[c], shift = b[c] - means[c] * slope;
      for (std::int64_t n = 0; n < l.outer; ++n)
        for (std::int64_t i = place(n, c); i < place(n, c) + l.inner; ++i) out[i] = in[i] * slope + shift;
    }
  };
  t.pool().parallel_for(l.channels, std::max<std::int64_t>(1, 16384 / (l.outer * l.inner)), std::ref(forward));
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* xs = tape.value(x).data();
      const float* dy = tape.gradient(y).data();
      const float* gains = tape.value(gain).data();
      float* dgain = tape.gradient(gain).data();
      float* dbias = tape.gradient(bias).data();
      float* dx = tape.wants(x) ? tape.gradient(x).data() : nullptr;
      const auto backward = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t c = begin; c < end; ++c) {
          double sum = 0, product = 0;  // of dy, and of dy with the normalised x
          const double mean = static_cast<double>(means[c]), scale = static_cast<double>(scales[c]);
          for (std::int64_t n = 0; n < l.outer; ++n)
            for (std::int64_t i = place(n, c); i < place(n, c) + l.inner; ++i) {
              sum += static_cast<double>(dy[i]);
              product += static_cast<double>(dy[i]) * (static_cast<double>(xs[i]) - mean);
            }
          product *= scale;
          dgain[c] += static_cast<float>(product);
          dbias[c] += static_cast<float>(sum);
          if (!dx) continue;
          const float slope = scales[c] * gains[c];
          const float centre = of_batch ? static_cast<float>(sum / count) : 0.0f;
          const float lean = of_batch ? static_cast<float>(product * scale / count) : 0.0f;
          for (std::int64_t n = 0; n < l.outer; ++n)
            for (std::int64_t i = place(n, c); i < place(n, c) + l.inner; ++i) dx[i] += slope * (dy[i] - centre - lean * (xs[i] - means[c]));
        }
      };
      tape.pool().parallel_for(l.channels, std::max<std::int64_t>(1, 16384 / (l.outer * l.inner)), std::ref(backward));
    });
  return y;
}

namespace {

/// Groups of `size` neighbours share their moments; value i of a group has gain and bias number channel(group, i).
template <class Channel>
Var neighbour_norm(Tape& t, Var x, Var gain, Var bias, std::int64_t size, float epsilon, Channel channel) {
  const std::int64_t groups = t.size(x) / size;
  const Var y = t.make(t.shape(x), t.wants(x) || t.wants(gain));
  float* means = t.arena().floats(static_cast<std::size_t>(groups));
  float* scales = t.arena().floats(static_cast<std::size_t>(groups));
  const float* in = t.value(x).data();
  float* out = t.value(y).data();
  const float* g = t.value(gain).data();
  const float* b = t.value(bias).data();
  const auto count = static_cast<double>(size);
  const auto forward = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      const float* from = in + k * size;
      const Moments m = moments([&](auto visit) { visit(from, size); }, count);
      means[k] = static_cast<float>(m.mean);
      scales[k] = static_cast<float>(1 / std::sqrt(m.variance + static_cast<double>(epsilon)));
      for (std::int64_t i = 0; i < size; ++i) {
        const std::int64_t c = channel(k, i);
        out[k * size + i] = (from[i] - means[k]) * scales[k] * g[c] + b[c];
      }
    }
  };
  t.pool().parallel_for(groups, std::max<std::int64_t>(1, 16384 / size), std::ref(forward));
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* xs = tape.value(x).data();
      const float* dy = tape.gradient(y).data();
      const float* gains = tape.value(gain).data();
      float* dgain = tape.gradient(gain).data();
      float* dbias = tape.gradient(bias).data();
      // One thread: every group adds to the same gains.
      for (std::int64_t k = 0; k < groups; ++k)
        for (std::int64_t i = 0; i < size; ++i) {
          const std::int64_t at = k * size + i, c = channel(k, i);
          dgain[c] += dy[at] * (xs[at] - means[k]) * scales[k];
          dbias[c] += dy[at];
        }
      if (!tape.wants(x)) return;
      float* dx = tape.gradient(x).data();
      const auto backward = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t k = begin; k < end; ++k) {
          double sum = 0, product = 0;
          for (std::int64_t i = 0; i < size; ++i) {
            const double d = static_cast<double>(dy[k * size + i] * gains[channel(k, i)]);
            sum += d;
            product += d * static_cast<double>((xs[k * size + i] - means[k]) * scales[k]);
          }
          const float centre = static_cast<float>(sum / count), lean = static_cast<float>(product / count);
          for (std::int64_t i = 0; i < size; ++i) {
            const std::int64_t at = k * size + i;
            dx[at] += scales[k] * (dy[at] * gains[channel(k, i)] - centre - lean * (xs[at] - means[k]) * scales[k]);
          }
        }
      };
      tape.pool().parallel_for(groups, std::max<std::int64_t>(1, 16384 / size), std::ref(backward));
    });
  return y;
}

}  // namespace

Var group_norm(Tape& t, Var x, Var gain, Var bias, std::int64_t groups, float epsilon) {
  const Layout l = image_layout(t, x);
  ensure(groups > 0 && l.channels % groups == 0 && t.size(gain) == l.channels && t.size(bias) == l.channels, "groups do not divide the channels");
  const std::int64_t channels = l.channels / groups, inner = l.inner;
  return neighbour_norm(t, x, gain, bias, channels * inner, epsilon,
                        [=](std::int64_t k, std::int64_t i) { return k % groups * channels + i / inner; });
}

Var layer_norm(Tape& t, Var x, Var gain, Var bias, float epsilon) {
  const std::int64_t size = t.shape(x).back();
  ensure(t.size(gain) == size && t.size(bias) == size, "a layer norm of another width");
  return neighbour_norm(t, x, gain, bias, size, epsilon, [](std::int64_t, std::int64_t i) { return i; });
}

}  // namespace starling::core
