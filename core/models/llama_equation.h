// The equation of the Llama family, written once for all that compute it: inference (llama_forward.cpp: plain values in a
// workspace, stored weights of any type, a cache, ranks) and training (train/models/llama.cpp: a tape). `Math` is such a
// backend. It says what a value is and computes
//
//   norm(x, gain)            root mean square normalisation
//   product(w, x)            x * transpose(w)
//   rotary(x)                every head turned by its position
//   attention(q, k, v, layer)  causal, of grouped heads, over what the layer has seen
//   gated(gate, up)          silu(gate) * up
//   partial(w, x)            this rank's terms of a product whose columns are shared out over the ranks
//   all_reduce(terms)        their sum over all ranks; in a group of one the terms themselves
//   add(x, y)                a backend without a tape may use x's memory for the sum
//   weights(layer)           a LlamaWeights of its own types
#pragma once

#include <cstdint>

namespace starling::core {

/// A block's weights as a backend keeps them; the meaning is that of LlamaBlock.
template <class Gain, class Matrix, class CutMatrix>
struct LlamaWeights {
  Gain attention_norm;
  Matrix query, key, value;
  CutMatrix attention_output;
  Gain ffn_norm;
  Matrix gate, up;
  CutMatrix down;
};

template <class Math, class X, class Weights>
auto llama_attend(Math& m, const X& x, const Weights& w, std::int64_t layer) {
  const auto query = m.rotary(m.product(w.query, x));
  const auto key = m.rotary(m.product(w.key, x));
  const auto value = m.product(w.value, x);
  return m.partial(w.attention_output, m.attention(query, key, value, layer));
}

template <class Math, class X, class Weights>
auto llama_feed_forward(Math& m, const X& x, const Weights& w) {
  const auto gate = m.product(w.gate, x);
  const auto up = m.product(w.up, x);
  return m.partial(w.down, m.gated(gate, up));
}

template <class Math, class X, class Weights>
X llama_block(Math& m, const X& x, const Weights& w, std::int64_t layer) {
  const X a = m.add(x, m.all_reduce(llama_attend(m, m.norm(x, w.attention_norm), w, layer)));
  return m.add(a, m.all_reduce(llama_feed_forward(m, m.norm(a, w.ffn_norm), w)));
}

template <class Math, class X>
X llama_blocks(Math& m, X x, std::int64_t layers) {
  for (std::int64_t layer = 0; layer < layers; ++layer) x = llama_block(m, x, m.weights(layer), layer);
  return x;
}

template <class Math, class X, class Gain, class Matrix>
auto llama_head(Math& m, const X& x, const Gain& output_norm, const Matrix& output) {
  return m.product(output, m.norm(x, output_norm));
}

}  // namespace starling::core
