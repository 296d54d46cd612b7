// What sequences need: embeddings, dropout, products value by value, single steps.
#include "core/train/ops.h"

namespace starling::core {

Var embedding(Tape& t, std::span<const std::int32_t> ids, Var table) {
  ensure(t.shape(table).size() == 2, "an embedding table has rows");
  const std::int64_t vocabulary = t.shape(table)[0], width = t.shape(table)[1];
  const auto rows = static_cast<std::int64_t>(ids.size());
  const Var y = t.make({rows, width}, t.wants(table));
  std::int32_t* kept = t.arena().ints(ids.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int32_t id = ids[static_cast<std::size_t>(i)];
    check(id >= 0 && id < vocabulary, Kind::malformed, "token {}: id {} of a vocabulary of {}", i, id, vocabulary);
    kept[i] = id;
    const float* row = t.value(table).data() + id * width;
    std::copy(row, row + width, t.value(y).data() + i * width);
  }
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* dy = tape.gradient(y).data();
      float* d = tape.gradient(table).data();
      const auto n = static_cast<std::size_t>(width);
      for (std::int64_t i = 0; i < rows; ++i) add_to({dy + i * width, n}, {d + kept[i] * width, n});
    });
  return y;
}

Var dropout(Tape& t, Var x, float p, std::uint64_t seed, const RandomPlace& place) {
  ensure(p >= 0 && p < 1, "a dropout probability from 0 to below 1");
  if (!t.training() || p == 0) return x;
  const Var y = t.make(t.shape(x), t.wants(x));
  const auto n = static_cast<std::size_t>(t.size(x));
  float* factors = t.arena().floats(n);
  const float kept = 1 / (1 - p);
  constexpr std::size_t kEach = 8;  // 32 of 256 bits a value
  for (std::size_t i = 0; i < n; i += kEach) {
    const auto bits = random_bits(seed, Purpose::dropout, place, i / kEach);
    for (std::size_t j = 0; j < kEach && i + j < n; ++j) {
      const auto part = static_cast<std::uint32_t>(bits[j / 2] >> (32 * (j % 2)));
      factors[i + j] = static_cast<double>(part) * 0x1p-32 < static_cast<double>(p) ? 0.0f : kept;
    }
  }
  for (std::size_t i = 0; i < n; ++i) t.value(y)[i] = t.value(x)[i] * factors[i];
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const std::span<const float> dy = tape.gradient(y);
      const std::span<float> dx = tape.gradient(x);
      for (std::size_t i = 0; i < n; ++i) dx[i] += dy[i] * factors[i];
    });
  return y;
}

Var multiply(Tape& t, Var a, Var b) {
  ensure(t.shape(a) == t.shape(b), "shapes of a product disagree");
  const Var y = t.make(t.shape(a), t.wants(a) || t.wants(b));
  const auto n = static_cast<std::size_t>(t.size(a));
  for (std::size_t i = 0; i < n; ++i) t.value(y)[i] = t.value(a)[i] * t.value(b)[i];
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const std::span<const float> dy = tape.gradient(y);
      const auto add_product = [&](Var to, Var other) {
        if (!tape.wants(to)) return;
        const std::span<float> d = tape.gradient(to);
        const std::span<const float> v = tape.value(other);
        for (std::size_t i = 0; i < n; ++i) d[i] += dy[i] * v[i];
      };
      add_product(a, b);
      add_product(b, a);
    });
  return y;
}

Var time_step(Tape& t, Var x, std::int64_t step) {
  const Shape& shape = t.shape(x);
  ensure(shape.size() == 3 && step >= -1 && step < shape[0], "a step outside the sequence");
  const std::int64_t size = shape[1] * shape[2], at = (step < 0 ? shape[0] - 1 : step) * size;
  const Var y = t.make({shape[1], shape[2]}, t.wants(x));
  std::copy_n(t.value(x).data() + at, size, t.value(y).data());
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      add_to(tape.gradient(y), tape.gradient(x).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size)));
    });
  return y;
}

}  // namespace starling::core
