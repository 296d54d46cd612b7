// Gradients of convolutions.
#include <algorithm>
#include <functional>

#include "core/error.h"
#include "core/ops/conv.h"
#include "core/ops/conv_job.h"
#include "core/ops/elementwise.h"
#include "core/ops/winograd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/conv_backward.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/tile.h"
#include "core/ops/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

/// Taps [begin, end) in groups of kTileRows: every image in order, so that each sum is one chain.
void conv_weights_taps(const ConvWeightsJob& job, std::int64_t begin, std::int64_t end) {
  const ConvShape& s = job.conv.shape;
  const auto positions = static_cast<std::size_t>(s.positions());
  const auto lanes = static_cast<std::size_t>(job.lanes);
  for (std::int64_t image = 0; image < s.batch; ++image) {
    const float* in = job.conv.padded + image * job.conv.image_floats();
    const float* dy = job.dy_lanes + image * s.positions() * job.lanes;
    for (std::size_t lane = 0; lane < lanes; lane += kTileColumns) {
      const std::size_t vectors = lanes - lane <= kLanes ? 1 : kTileVectors;
      for (std::int64_t tap = begin; tap < end;) {
        const std::size_t count = tile_rows(static_cast<std::size_t>(end - tap));
        const float* x[kTileRows];
        for (std::size_t r = 0; r < count; ++r) x[r] = in + job.conv.tap_offsets[tap + static_cast<std::int64_t>(r)];
        run_tile(count, vectors, x, Table{job.conv.place_offsets}, dy + lane, Strided{lanes}, positions,
                 image == 0 ? Start::zero : Start::sum, nullptr, job.sums + static_cast<std::size_t>(tap) * lanes + lane, lanes);
        tap += static_cast<std::int64_t>(count);
      }
    }
  }
}

/// dw {outputs, taps} += sums {taps, lanes}.
void conv_add_sums(const ConvWeightsJob& job, float* dw) {
  const auto taps = static_cast<std::size_t>(job.conv.shape.taps());
  transpose<true>(job.sums, taps, static_cast<std::size_t>(job.conv.shape.outputs), static_cast<std::size_t>(job.lanes), dw, taps);
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(conv_weights_taps);
HWY_EXPORT(conv_add_sums);

namespace {

/// Places i = stride * q + phase - pad of the input, first <= q < end, in one dimension. They see every stride-th tap, from
/// number `phase` on: their gradients are a convolution of stride 1 of dy by those `taps`, turned around.
struct Phase {
  std::int64_t phase, first, end, taps;
  std::int64_t places() const { return end - first; }
  std::int64_t begin() const { return first - (taps - 1); }  // of the rows of dy that are needed; beyond dy are zeros
  std::int64_t rows() const { return places() + taps - 1; }
};

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }

Phase phase_of(std::int64_t phase, std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return {phase, divide_up(pad - phase, stride), divide_up(size + pad - phase, stride), divide_up(kernel - phase, stride)};
}

/// dy's part that one phase needs: {batch, outputs, rows, columns}.
const float* frame(const ConvShape& s, const float* dy, const Phase& down, const Phase& across, Arena& arena, Pool& pool) {
  const std::int64_t rows = down.rows(), columns = across.rows(), width = s.out_width();
  float* framed = arena.floats(static_cast<std::size_t>(s.batch * s.outputs * rows * columns));
  const std::int64_t row_begin = std::max<std::int64_t>(0, down.begin()), row_end = std::min(s.out_height(), down.end);
  const std::int64_t begin = std::max<std::int64_t>(0, across.begin()), end = std::min(width, across.end);
  const auto body = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      float* to = framed + i * rows * columns;
      std::fill(to, to + rows * columns, 0.0f);
      for (std::int64_t y = row_begin; y < row_end && begin < end; ++y) {
        const float* from = dy + i * s.positions() + y * width;
        std::copy(from + begin, from + end, to + (y - down.begin()) * columns + begin - across.begin());
      }
    }
  };
  pool.parallel_for(s.batch * s.outputs, std::max<std::int64_t>(1, 32768 / (rows * columns)), std::ref(body));
  return framed;
}

/// The taps of a phase, turned around: {channels, outputs, taps down, taps across}.
const float* turn(const ConvShape& s, const float* w, const Phase& down, const Phase& across, Arena& arena) {
  float* turned = arena.floats(static_cast<std::size_t>(s.outputs * s.channels * down.taps * across.taps));
  float* to = turned;
  for (std::int64_t c = 0; c < s.channels; ++c)
    for (std::int64_t o = 0; o < s.outputs; ++o) {
      const float* kernel = w + (o * s.channels + c) * s.kernel_height * s.kernel_width;
      for (std::int64_t y = down.taps - 1; y >= 0; --y)
        for (std::int64_t x = across.taps - 1; x >= 0; --x)
          *to++ = kernel[(down.phase + s.stride * y) * s.kernel_width + across.phase + s.stride * x];
    }
  return turned;
}

/// The gradients of a phase's places, {batch, channels, places down, places across}, to where they belong.
void spread(const ConvShape& s, const Phase& down, const Phase& across, const float* part, float* dx, bool add, Pool& pool) {
  const auto body = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t plane = first; plane < last; ++plane)
      for (std::int64_t q = down.first; q < down.end; ++q) {
        const float* from = part + (plane * down.places() + q - down.first) * across.places();
        float* to = dx + (plane * s.height + s.stride * q + down.phase - s.pad) * s.width + s.stride * across.first + across.phase - s.pad;
        for (std::int64_t i = 0; i < across.places(); ++i) to[i * s.stride] = from[i] + (add ? to[i * s.stride] : 0.0f);
      }
  };
  pool.parallel_for(s.batch * s.channels, std::max<std::int64_t>(1, 32768 / (s.height * s.width)), std::ref(body));
}

}  // namespace

void conv_backward_input(const ConvShape& s, const float* dy, const float* w, float* dx, bool add, Arena& arena, Pool& pool) {
  check(s.pad < s.kernel_height && s.pad < s.kernel_width, Kind::unsupported, "a convolution with more padding ({}) than its kernel ({}x{}) can use",
        s.pad, s.kernel_height, s.kernel_width);
  const ConvShape slopes{s.batch, s.outputs, s.out_height(), s.out_width(), s.channels, s.kernel_height, s.kernel_width, 1, s.kernel_height - 1 - s.pad};
  if (s.stride == 1 && winograd_suits(slopes)) return winograd_forward(slopes, dy, w, true, nullptr, dx, add, arena, pool);
  const std::int64_t image = s.channels * s.height * s.width;
  if (!add && (s.stride > s.kernel_height || s.stride > s.kernel_width)) std::fill(dx, dx + s.batch * image, 0.0f);
  for (std::int64_t y = 0; y < s.stride; ++y)
    for (std::int64_t x = 0; x < s.stride; ++x) {
      const Phase down = phase_of(y, s.height, s.kernel_height, s.stride, s.pad), across = phase_of(x, s.width, s.kernel_width, s.stride, s.pad);
      if (down.taps <= 0 || across.taps <= 0 || down.places() <= 0 || across.places() <= 0) continue;
      const Arena::Mark mark = arena.mark();
      const ConvShape back{s.batch, s.outputs, down.rows(), across.rows(), s.channels, down.taps, across.taps, 1, 0};
      const float* framed = frame(s, dy, down, across, arena, pool);
      const float* turned = turn(s, w, down, across, arena);
      if (s.stride == 1) {
        conv_direct(back, framed, turned, nullptr, dx, add, arena, pool);
      } else {
        float* part = arena.floats(static_cast<std::size_t>(s.batch * s.channels * down.places() * across.places()));
        conv_direct(back, framed, turned, nullptr, part, false, arena, pool);
        spread(s, down, across, part, dx, add, pool);
      }
      arena.release(mark);
    }
}

void conv_backward_weights(const ConvShape& s, const float* padded, const float* dy, float* dw, float* dbias, Arena& arena, Pool& pool) {
  if (winograd_suits(s)) return winograd_backward_weights(s, padded, dy, dw, dbias, arena, pool);
  const Arena::Mark mark = arena.mark();
  const std::int64_t lanes = conv_whole_vectors(s.outputs);
  float* dy_lanes = arena.floats(static_cast<std::size_t>(s.batch * s.positions() * lanes));
  const auto transpose = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = begin; image < end; ++image)
      conv_lay_lanes(dy + image * s.outputs * s.positions(), s.outputs, s.positions(), lanes, dy_lanes + image * s.positions() * lanes);
  };
  conv_share(s, s.batch, 1, pool, std::ref(transpose));
  float* sums = arena.floats(static_cast<std::size_t>(s.taps() * lanes));
  const ConvWeightsJob job{{s, padded, tap_table(s, arena), place_table(s, arena), nullptr, nullptr, nullptr, false}, dy_lanes, lanes, sums};
  const auto body = [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(conv_weights_taps)(job, begin, end); };
  conv_share(s, s.taps(), std::max<std::int64_t>(8, (s.taps() / (4 * pool.threads()) + 7) / 8 * 8), pool, std::ref(body));
  HWY_DYNAMIC_DISPATCH(conv_add_sums)(job, dw);
  const auto add_biases = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o)
      for (std::int64_t n = 0; n < s.batch; ++n)
        dbias[o] += sum({dy + (n * s.outputs + o) * s.positions(), static_cast<std::size_t>(s.positions())});
  };
  if (dbias) conv_share(s, s.outputs, 1, pool, std::ref(add_biases));
  arena.release(mark);
}

}  // namespace starling::core
#endif
