// Convolution and pooling.
#include <limits>

#include "core/ops/conv.h"
#include "core/ops/max_pool.h"
#include "core/train/ops.h"

namespace starling::core {
namespace {

constexpr Var kNone{};

Var convolve(Tape& t, Var x, Var w, Var bias, std::int64_t stride, std::int64_t pad) {
  const Shape &in = t.shape(x), &kernel = t.shape(w);
  ensure(in.size() == 4 && kernel.size() == 4 && in[1] == kernel[1], "shapes of a convolution disagree");
  const ConvShape s{in[0], in[1], in[2], in[3], kernel[0], kernel[2], kernel[3], stride, pad};
  validate(s, "conv2d");
  const bool biased = bias.id != kNone.id;
  ensure(!biased || t.size(bias) == s.outputs, "a convolution's bias of another size");
  const Var y = t.make({s.batch, s.outputs, s.out_height(), s.out_width()}, t.wants(x) || t.wants(w));
  const float* padded = conv_pad(s, t.value(x).data(), t.arena(), t.pool());
  conv_forward(s, padded, t.value(w).data(), biased ? t.value(bias).data() : nullptr, t.value(y).data(), t.arena(), t.pool());
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* dy = tape.gradient(y).data();
      if (tape.wants(w))
        conv_backward_weights(s, padded, dy, tape.gradient(w).data(), biased ? tape.gradient(bias).data() : nullptr, tape.arena(), tape.pool());
      if (!tape.wants(x)) return;
      const Tape::Written dx = tape.written_gradient(x);
      conv_backward_input(s, dy, tape.value(w).data(), dx.values.data(), !dx.fresh, tape.arena(), tape.pool());
    });
  return y;
}

/// Planes (one channel of one image) of the input and of what pooling makes of them.
struct Pooling {
  std::int64_t planes, height, width, size, stride;
  std::int64_t out_height() const { return (height - size) / stride + 1; }
  std::int64_t out_width() const { return (width - size) / stride + 1; }
  std::int64_t in_plane() const { return height * width; }
  std::int64_t out_plane() const { return out_height() * out_width(); }
};

Pooling pooling(const Tape& t, Var x, std::int64_t size, std::int64_t stride) {
  const Shape& in = t.shape(x);
  ensure(in.size() == 4 && size > 0 && stride > 0 && in[2] >= size && in[3] >= size, "a pooling window larger than its image");
  return {in[0] * in[1], in[2], in[3], size, stride};
}

template <class Body>
void each_plane(const Pooling& p, Pool& pool, Body body) {
  if (p.planes * p.in_plane() <= 16384)
    body(0, p.planes);
  else
    pool.parallel_for(p.planes, std::max<std::int64_t>(1, 8192 / p.in_plane()), std::ref(body));
}

}  // namespace

Var conv2d(Tape& t, Var x, Var w, Var bias, std::int64_t stride, std::int64_t pad) { return convolve(t, x, w, bias, stride, pad); }
Var conv2d(Tape& t, Var x, Var w, std::int64_t stride, std::int64_t pad) { return convolve(t, x, w, kNone, stride, pad); }

namespace {

/// Windows of 2x2 that touch and cover the image.
Var pool_blocks(Tape& t, Var x, const Pooling& p) {
  const Shape in = t.shape(x);
  const Var y = t.make({in[0], in[1], p.out_height(), p.out_width()}, t.wants(x));
  float* which = t.arena().floats(static_cast<std::size_t>(t.size(y)));
  const float* from = t.value(x).data();
  float* to = t.value(y).data();
  each_plane(p, t.pool(), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t out = begin * p.out_plane();
    max_pool_blocks(from + begin * p.in_plane(), (end - begin) * p.out_height(), p.out_width(), to + out, which + out);
  });
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* dy = tape.gradient(y).data();
      const Tape::Written dx = tape.written_gradient(x);
      const Arena::Mark mark = tape.arena().mark();
      float* part = !dx.fresh ? tape.arena().floats(dx.values.size()) : dx.values.data();
      each_plane(p, tape.pool(), [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t out = begin * p.out_plane();
        max_pool_blocks_backward(dy + out, which + out, (end - begin) * p.out_height(), p.out_width(), part + begin * p.in_plane());
      });
      if (!dx.fresh) add(dx.values, {part, dx.values.size()}, dx.values, tape.pool());
      tape.arena().release(mark);
    });
  return y;
}

}  // namespace

Var max_pool(Tape& t, Var x, std::int64_t size, std::int64_t stride) {
  const Pooling p = pooling(t, x, size, stride);
  if (size == 2 && stride == 2 && p.height % 2 == 0 && p.width % 2 == 0) return pool_blocks(t, x, p);
  const Shape in = t.shape(x);
  const Var y = t.make({in[0], in[1], p.out_height(), p.out_width()}, t.wants(x));
  std::int32_t* chosen = t.arena().ints(static_cast<std::size_t>(t.size(y)));  // places in the plane
  const float* from = t.value(x).data();
  float* to = t.value(y).data();
  each_plane(p, t.pool(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const float* a = from + plane * p.in_plane();
      std::int64_t out = plane * p.out_plane();
      for (std::int64_t oy = 0; oy < p.out_height(); ++oy)
        for (std::int64_t ox = 0; ox < p.out_width(); ++ox, ++out) {
          std::int64_t best = oy * p.stride * p.width + ox * p.stride;
          for (std::int64_t ky = 0; ky < p.size; ++ky)
            for (std::int64_t kx = 0; kx < p.size; ++kx) {
              const std::int64_t at = (oy * p.stride + ky) * p.width + ox * p.stride + kx;
              best = a[at] > a[best] ? at : best;
            }
          to[out] = a[best];
          chosen[out] = static_cast<std::int32_t>(best);
        }
    }
  });
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* dy = tape.gradient(y).data();
      float* dx = tape.gradient(x).data();
      each_plane(p, tape.pool(), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t plane = begin; plane < end; ++plane)
          for (std::int64_t i = plane * p.out_plane(); i < (plane + 1) * p.out_plane(); ++i) dx[plane * p.in_plane() + chosen[i]] += dy[i];
      });
    });
  return y;
}

Var average_pool(Tape& t, Var x, std::int64_t size, std::int64_t stride) {
  const Pooling p = pooling(t, x, size, stride);
  const Shape in = t.shape(x);
  const Var y = t.make({in[0], in[1], p.out_height(), p.out_width()}, t.wants(x));
  const float share = 1.0f / static_cast<float>(size * size);
  const float* from = t.value(x).data();
  float* to = t.value(y).data();
  const auto each_window = [](const Pooling& q, std::int64_t plane, auto visit) {
    std::int64_t out = plane * q.out_plane();
    for (std::int64_t oy = 0; oy < q.out_height(); ++oy)
      for (std::int64_t ox = 0; ox < q.out_width(); ++ox, ++out)
        for (std::int64_t ky = 0; ky < q.size; ++ky)
          for (std::int64_t kx = 0; kx < q.size; ++kx)
            visit(out, plane * q.in_plane() + (oy * q.stride + ky) * q.width + ox * q.stride + kx);
  };
  each_plane(p, t.pool(), [&](std::int64_t begin, std::int64_t end) {
    std::fill(to + begin * p.out_plane(), to + end * p.out_plane(), 0.0f);
    for (std::int64_t plane = begin; plane < end; ++plane) each_window(p, plane, [&](std::int64_t o, std::int64_t i) { to[o] += from[i]; });
    scale(share, {to + begin * p.out_plane(), static_cast<std::size_t>((end - begin) * p.out_plane())},
          {to + begin * p.out_plane(), static_cast<std::size_t>((end - begin) * p.out_plane())});
  });
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* dy = tape.gradient(y).data();
      float* dx = tape.gradient(x).data();
      each_plane(p, tape.pool(), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t plane = begin; plane < end; ++plane)
          each_window(p, plane, [&](std::int64_t o, std::int64_t i) { dx[i] += share * dy[o]; });
      });
    });
  return y;
}

Var global_average_pool(Tape& t, Var x) {
  const Shape in = t.shape(x);
  ensure(in.size() == 4, "a global pooling of no images");
  const std::int64_t planes = in[0] * in[1], size = in[2] * in[3];
  const Var y = t.make({in[0], in[1]}, t.wants(x));
  const float share = 1.0f / static_cast<float>(size);
  for (std::int64_t plane = 0; plane < planes; ++plane)
    t.value(y)[static_cast<std::size_t>(plane)] = share * sum(t.value(x).subspan(static_cast<std::size_t>(plane * size), static_cast<std::size_t>(size)));
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const std::span<const float> dy = tape.gradient(y);
      float* dx = tape.gradient(x).data();
      for (std::int64_t plane = 0; plane < planes; ++plane) {
        const float d = share * dy[static_cast<std::size_t>(plane)];
        for (std::int64_t i = 0; i < size; ++i) dx[plane * size + i] += d;
      }
    });
  return y;
}

Var subsample(Tape& t, Var x, std::int64_t stride, std::int64_t extra) {
  const Shape in = t.shape(x);
  ensure(in.size() == 4 && stride > 0 && extra >= 0, "a shortcut of no images");
  const std::int64_t batch = in[0], channels = in[1], rows = in[2], columns = in[3];
  const std::int64_t height = (rows + stride - 1) / stride, width = (columns + stride - 1) / stride, all = channels + 2 * extra;
  const Var y = t.make({batch, all, height, width}, t.wants(x));
  const auto each = [=](auto visit) {
    for (std::int64_t n = 0; n < batch; ++n)
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t i = 0; i < height; ++i)
          for (std::int64_t j = 0; j < width; ++j)
            visit(((n * all + c + extra) * height + i) * width + j, ((n * channels + c) * rows + i * stride) * columns + j * stride);
  };
  float* out = t.value(y).data();
  const float* from = t.value(x).data();
  std::fill(out, out + t.size(y), 0.0f);
  each([&](std::int64_t o, std::int64_t i) { out[o] = from[i]; });
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* dy = tape.gradient(y).data();
      float* dx = tape.gradient(x).data();
      each([&](std::int64_t o, std::int64_t i) { dx[i] += dy[o]; });
    });
  return y;
}

}  // namespace starling::core
