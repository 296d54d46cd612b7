// Tiles of images to and from the sixteen points of F(2x2, 3x3), a channel in each lane.
//
// Included once per target by files that dispatch with Highway (foreach_target.h).
#if defined(STARLING_CORE_OPS_WINOGRAD_TILES_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_WINOGRAD_TILES_H_
#undef STARLING_CORE_OPS_WINOGRAD_TILES_H_
#else
#define STARLING_CORE_OPS_WINOGRAD_TILES_H_
#endif

#include "core/ops/transpose.h"
#include "core/ops/winograd_job.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

/// Rows [top, top + rows) and columns [left, left + columns) of an image {channels, height, width} as {rows, columns,
/// lanes}; places beyond the image and lanes beyond the channels are zeros.
inline void gather_lanes(const float* image, std::int64_t channels, std::int64_t height, std::int64_t width, std::int64_t top, std::int64_t left,
                         std::int64_t rows, std::int64_t columns, float* out) {
  const std::int64_t lanes = lanes_of(channels);
  const std::int64_t begin = std::max<std::int64_t>(0, left), end = std::min(width, left + columns);
  for (std::int64_t r = 0; r < rows; ++r, out += columns * lanes) {
    const std::int64_t y = top + r;
    if (y < 0 || y >= height) {
      std::memset(out, 0, static_cast<std::size_t>(columns * lanes) * sizeof(float));
      continue;
    }
    std::memset(out, 0, static_cast<std::size_t>((begin - left) * lanes) * sizeof(float));
    std::memset(out + (end - left) * lanes, 0, static_cast<std::size_t>((left + columns - end) * lanes) * sizeof(float));
    transpose_to_lanes(image + y * width + begin, static_cast<std::size_t>(channels), static_cast<std::size_t>(end - begin),
                       static_cast<std::size_t>(height * width), out + (begin - left) * lanes, static_cast<std::size_t>(lanes));
  }
}

/// B^T over one dimension.
HWY_INLINE void input_points(VF d0, VF d1, VF d2, VF d3, VF (&out)[4]) {
  out[0] = hn::Sub(d0, d2);
  out[1] = hn::Add(d1, d2);
  out[2] = hn::Sub(d2, d1);
  out[3] = hn::Sub(d1, d3);
}

/// B^T d B of `rows` x `across` tiles, each two places on from the last, of an image {2 rows + 2, 2 across + 2, lanes}:
/// point p of tile t to v[p * plane + t * lanes].
inline void transform_input(const float* in, std::int64_t rows, std::int64_t across, std::int64_t lanes, float* v, std::int64_t plane) {
  const DF d;
  const std::int64_t pitch = (2 * across + 2) * lanes;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t lane = 0; lane < lanes; lane += static_cast<std::int64_t>(kLanes)) {
      const float* from = in + 2 * row * pitch + lane;
      float* to = v + row * across * lanes + lane;
      const auto column = [&](VF(&out)[4]) {
        input_points(hn::LoadU(d, from), hn::LoadU(d, from + pitch), hn::LoadU(d, from + 2 * pitch), hn::LoadU(d, from + 3 * pitch), out);
        from += lanes;
      };
      VF a[4], b[4], c[4], e[4];
      column(a);
      column(b);
      for (std::int64_t tile = 0; tile < across; ++tile, to += lanes) {
        column(c);
        column(e);
        for (std::int64_t i = 0; i < 4; ++i) {
          VF point[4];
          input_points(a[i], b[i], c[i], e[i], point);
          for (std::int64_t j = 0; j < 4; ++j) hn::StoreU(point[j], d, to + (4 * i + j) * plane);
          a[i] = c[i];
          b[i] = e[i];
        }
      }
    }
}

/// A^T over one dimension.
HWY_INLINE void output_points(VF m0, VF m1, VF m2, VF m3, VF& y0, VF& y1) {
  y0 = hn::Add(hn::Add(m0, m1), m2);
  y1 = hn::Sub(hn::Sub(m1, m2), m3);
}

/// A^T m A + bias of `rows` x `across` tiles: an image {2 rows, 2 across, lanes}.
inline void transform_output(const float* m, std::int64_t plane, std::int64_t rows, std::int64_t across, std::int64_t lanes, const float* bias, float* out) {
  const DF d;
  const std::int64_t pitch = 2 * across * lanes;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t tile = 0; tile < across; ++tile, m += lanes)
      for (std::int64_t lane = 0; lane < lanes; lane += static_cast<std::int64_t>(kLanes)) {
        VF upper[4], lower[4], y[4];
        for (std::int64_t j = 0; j < 4; ++j) {
          const float* at = m + j * plane + lane;
          output_points(hn::LoadU(d, at), hn::LoadU(d, at + 4 * plane), hn::LoadU(d, at + 8 * plane), hn::LoadU(d, at + 12 * plane), upper[j], lower[j]);
        }
        output_points(upper[0], upper[1], upper[2], upper[3], y[0], y[1]);
        output_points(lower[0], lower[1], lower[2], lower[3], y[2], y[3]);
        const VF b = hn::LoadU(d, bias + lane);
        float* to = out + 2 * row * pitch + 2 * tile * lanes + lane;
        hn::StoreU(hn::Add(y[0], b), d, to);
        hn::StoreU(hn::Add(y[1], b), d, to + lanes);
        hn::StoreU(hn::Add(y[2], b), d, to + pitch);
        hn::StoreU(hn::Add(y[3], b), d, to + pitch + lanes);
      }
}

/// A d A^T of tiles of 2x2 of an image {2 rows, 2 across, lanes}, stored as transform_input() does.
inline void transform_slopes(const float* in, std::int64_t rows, std::int64_t across, std::int64_t lanes, float* v, std::int64_t plane) {
  const DF d;
  const std::int64_t pitch = 2 * across * lanes;
  const auto spread = [](VF y0, VF y1, VF(&out)[4]) {
    out[0] = y0;
    out[1] = hn::Add(y0, y1);
    out[2] = hn::Sub(y0, y1);
    out[3] = hn::Neg(y1);
  };
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t tile = 0; tile < across; ++tile, v += lanes)
      for (std::int64_t lane = 0; lane < lanes; lane += static_cast<std::int64_t>(kLanes)) {
        const float* from = in + 2 * row * pitch + 2 * tile * lanes + lane;
        VF left[4], right[4], point[4];
        spread(hn::LoadU(d, from), hn::LoadU(d, from + pitch), left);
        spread(hn::LoadU(d, from + lanes), hn::LoadU(d, from + pitch + lanes), right);
        for (std::int64_t i = 0; i < 4; ++i) {
          spread(left[i], right[i], point);
          for (std::int64_t j = 0; j < 4; ++j) hn::StoreU(point[j], d, v + (4 * i + j) * plane + lane);
        }
      }
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
