#include "core/ops/conv.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "core/error.h"
#include "core/ops/conv_job.h"
#include "core/ops/winograd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/conv.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/tile.h"
#include "core/ops/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

/// Positions in the lanes, outputs as rows: for wide images of stride 1. A row of outputs and the next lie
/// kernel_width - 1 places apart in the padded image: those places are computed too and left out.
void conv_wide_image(const ConvJob& job, std::int64_t image) {
  const ConvShape& s = job.shape;
  const std::int64_t pitch = s.padded_width(), columns = s.out_width(), rows = s.out_height();
  const std::int64_t end = (rows - 1) * pitch + columns;
  const auto taps = static_cast<std::size_t>(s.taps());
  const float* in = job.padded + image * job.image_floats();
  float* out = job.y + image * s.outputs * s.positions();
  alignas(64) float edge[kTileRows * kTileColumns];
  for (std::int64_t begin = 0; begin < end; begin += static_cast<std::int64_t>(kTileColumns)) {
    const std::int64_t width = std::min(static_cast<std::int64_t>(kTileColumns), end - begin);
    const std::size_t vectors = static_cast<std::size_t>(width) <= kLanes ? 1 : kTileVectors;
    const std::size_t stride = vectors * kLanes;
    for (std::int64_t output = 0; output < s.outputs;) {
      const std::size_t count = tile_rows(static_cast<std::size_t>(s.outputs - output));
      const float* w[kTileRows];
      for (std::size_t r = 0; r < count; ++r) w[r] = job.weights + (output + static_cast<std::int64_t>(r)) * s.taps();
      // Segments of the tile that are outputs: (place in the tile, place in y, length).
      const auto each_segment = [&](auto visit) {
        for (std::int64_t at = begin; at < begin + width;) {
          const std::int64_t y = at / pitch, x = at % pitch, row_end = std::min(begin + width, (y + 1) * pitch);
          const std::int64_t length = std::min(row_end, y * pitch + columns) - at;
          if (length > 0)
            for (std::size_t r = 0; r < count; ++r)
              visit(edge + r * stride + (at - begin), out + (output + static_cast<std::int64_t>(r)) * s.positions() + y * columns + x,
                    static_cast<std::size_t>(length) * sizeof(float));
          at = row_end;
        }
      };
      const float* bias = job.bias ? job.bias + output : nullptr;
      if (job.accumulate) {
        std::fill(edge, edge + count * stride, 0.0f);
        each_segment([](float* tile, const float* y, std::size_t bytes) { std::memcpy(tile, y, bytes); });
      }
      run_tile(count, vectors, w, Strided{1}, in + begin, Table{job.tap_offsets}, taps,
               job.accumulate ? Start::sum : bias ? Start::bias : Start::zero, bias, edge, stride);
      each_segment([](const float* tile, float* y, std::size_t bytes) { std::memcpy(y, tile, bytes); });
      output += static_cast<std::int64_t>(count);
    }
  }
}

/// Outputs in the lanes, positions as rows: for many outputs, and for any stride.
void conv_deep_image(const ConvJob& job, std::int64_t image) {
  const ConvShape& s = job.shape;
  const auto taps = static_cast<std::size_t>(s.taps());
  const std::int64_t positions = s.positions();
  const float* in = job.padded + image * job.image_floats();
  float* out = job.y + image * s.outputs * positions;
  constexpr std::int64_t kPlaces = 4 * kTileRows;  // whose outputs are turned around together, so that whole cache lines are written
  alignas(64) float tile[kPlaces * kTileColumns];
  alignas(64) float start[kTileColumns] = {};
  for (std::int64_t output = 0; output < s.outputs; output += static_cast<std::int64_t>(kTileColumns)) {
    const std::int64_t width = std::min(static_cast<std::int64_t>(kTileColumns), s.outputs - output);
    const std::size_t vectors = static_cast<std::size_t>(width) <= kLanes ? 1 : kTileVectors;
    const std::size_t stride = vectors * kLanes, columns = static_cast<std::size_t>(width), apart = static_cast<std::size_t>(positions);
    if (job.bias) std::memcpy(start, job.bias + output, columns * sizeof(float));
    for (std::int64_t begin = 0; begin < positions; begin += kPlaces) {
      const auto places = static_cast<std::size_t>(std::min(kPlaces, positions - begin));
      float* y = out + output * positions + begin;
      for (std::size_t place = 0; !job.accumulate && place < places; ++place) std::memcpy(tile + place * stride, start, stride * sizeof(float));
      if (job.accumulate) transpose(y, columns, places, apart, tile, stride);
      for (std::size_t place = 0; place < places;) {
        const std::size_t count = tile_rows(places - place);
        const float* x[kTileRows];
        for (std::size_t r = 0; r < count; ++r) x[r] = in + job.place_offsets[begin + static_cast<std::int64_t>(place + r)];
        run_tile(count, vectors, x, Table{job.tap_offsets}, job.weights + output * s.taps(), Strided{stride}, taps, Start::sum, nullptr,
                 tile + place * stride, stride);
        place += count;
      }
      transpose(tile, places, columns, stride, y, apart);
    }
  }
}

void conv_images(const ConvJob& job, bool deep, std::int64_t begin, std::int64_t end) {
  for (std::int64_t image = begin; image < end; ++image) deep ? conv_deep_image(job, image) : conv_wide_image(job, image);
}

/// {rows, columns} as {columns, lanes >= rows}, zeros in the lanes beyond.
void conv_to_lanes(const float* in, std::int64_t rows, std::int64_t columns, std::int64_t lanes, float* out) {
  transpose_to_lanes(in, static_cast<std::size_t>(rows), static_cast<std::size_t>(columns), static_cast<std::size_t>(columns), out,
                     static_cast<std::size_t>(lanes));
}

std::int64_t conv_lanes() { return static_cast<std::int64_t>(kLanes); }
std::int64_t conv_columns() { return static_cast<std::int64_t>(kTileColumns); }

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(conv_images);
HWY_EXPORT(conv_to_lanes);
HWY_EXPORT(conv_lanes);
HWY_EXPORT(conv_columns);

const std::int32_t* tap_table(const ConvShape& s, Arena& arena) {
  std::int32_t* table = arena.ints(static_cast<std::size_t>(s.taps()));
  std::int32_t* at = table;
  for (std::int64_t c = 0; c < s.channels; ++c)
    for (std::int64_t y = 0; y < s.kernel_height; ++y)
      for (std::int64_t x = 0; x < s.kernel_width; ++x)
        *at++ = static_cast<std::int32_t>((c * s.padded_height() + y) * s.padded_width() + x);
  return table;
}

const std::int32_t* place_table(const ConvShape& s, Arena& arena) {
  std::int32_t* table = arena.ints(static_cast<std::size_t>(s.positions()));
  std::int32_t* at = table;
  for (std::int64_t y = 0; y < s.out_height(); ++y)
    for (std::int64_t x = 0; x < s.out_width(); ++x) *at++ = static_cast<std::int32_t>(y * s.stride * s.padded_width() + x * s.stride);
  return table;
}

std::int64_t conv_whole_vectors(std::int64_t outputs) {
  const std::int64_t vector = HWY_DYNAMIC_DISPATCH(conv_lanes)();
  return (outputs + vector - 1) / vector * vector;
}

void conv_lay_lanes(const float* in, std::int64_t rows, std::int64_t columns, std::int64_t lanes, float* out) {
  HWY_DYNAMIC_DISPATCH(conv_to_lanes)(in, rows, columns, lanes, out);
}

void conv_share(const ConvShape& s, std::int64_t count, std::int64_t grain, Pool& pool, const std::function<void(std::int64_t, std::int64_t)>& body) {
  constexpr double kWorthThreads = 1 << 17;
  const double work = static_cast<double>(s.outputs * s.taps()) * static_cast<double>(s.positions() * s.batch);
  if (work < kWorthThreads)
    body(0, count);
  else
    pool.parallel_for(count, grain, body);
}

void conv_direct(const ConvShape& s, const float* padded, const float* w, const float* bias, float* y, bool accumulate, Arena& arena, Pool& pool) {
  const Arena::Mark mark = arena.mark();
  ConvJob job{s, padded, tap_table(s, arena), nullptr, w, bias, y, accumulate};
  // Lanes that a row of outputs or a list of outputs leaves empty are lost.
  const std::int64_t row_places = conv_whole_vectors((s.out_height() - 1) * s.padded_width() + s.out_width());
  const double wide = s.stride > 1 ? 0.0 : static_cast<double>(s.positions()) / static_cast<double>(row_places);
  const double deep = static_cast<double>(s.outputs) / static_cast<double>(conv_whole_vectors(s.outputs));
  if (deep > wide) {
    const std::int64_t lanes = conv_whole_vectors(s.outputs);
    float* by_tap = arena.floats(static_cast<std::size_t>(s.taps() * lanes));
    // Panel by panel, so that a tile walks through memory without gaps.
    const std::int64_t columns = HWY_DYNAMIC_DISPATCH(conv_columns)();
    for (std::int64_t output = 0; output < lanes; output += columns)
      conv_lay_lanes(w + output * s.taps(), std::min(columns, s.outputs - output), s.taps(), std::min(columns, lanes - output),
                     by_tap + output * s.taps());
    job.weights = by_tap;
    job.place_offsets = place_table(s, arena);
  }
  conv_share(s, s.batch, 1, pool, [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(conv_images)(job, deep > wide, begin, end); });
  arena.release(mark);
}

void validate(const ConvShape& s, const char* what) {
  const bool positive = s.batch > 0 && s.channels > 0 && s.height > 0 && s.width > 0 && s.outputs > 0 && s.kernel_height > 0 &&
                        s.kernel_width > 0 && s.stride > 0 && s.pad >= 0;
  check(positive && s.kernel_height <= s.padded_height() && s.kernel_width <= s.padded_width(), Kind::usage,
        "{}: a {}x{} kernel of stride {} and padding {} over {} images of {}x{}x{}", what, s.kernel_height, s.kernel_width, s.stride,
        s.pad, s.batch, s.channels, s.height, s.width);
}

const float* conv_pad(const ConvShape& s, const float* x, Arena& arena, Pool& pool) {
  if (s.pad == 0 || winograd_suits(s)) return x;
  const std::int64_t plane = s.padded_height() * s.padded_width();
  float* padded = arena.floats(static_cast<std::size_t>(s.batch * s.channels * plane));
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float* to = padded + i * plane;
      const float* from = x + i * s.height * s.width;
      std::fill(to, to + plane, 0.0f);
      for (std::int64_t y = 0; y < s.height; ++y)
        std::memcpy(to + (y + s.pad) * s.padded_width() + s.pad, from + y * s.width, static_cast<std::size_t>(s.width) * sizeof(float));
    }
  };
  pool.parallel_for(s.batch * s.channels, std::max<std::int64_t>(1, 32768 / plane), std::ref(body));
  return padded;
}

void conv_forward(const ConvShape& s, const float* padded, const float* w, const float* bias, float* y, Arena& arena, Pool& pool) {
  if (winograd_suits(s)) return winograd_forward(s, padded, w, false, bias, y, false, arena, pool);
  conv_direct(s, padded, w, bias, y, false, arena, pool);
}

}  // namespace starling::core
#endif
