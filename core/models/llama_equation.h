// The equation of decoders of the Llama kind, written once for all that compute it: inference (llama_forward.cpp: plain values in a
// workspace, stored weights of any type, a cache, ranks) and training (train/models/llama.cpp: a tape). `Math` is such a
// backend. It says what a value is and computes
//
//   norm(x, gain)            root mean square normalisation
//   head_norm(x, gain)       that of every head, in models that have it; else x
//   post_norm(x, gain)       that of what a part gives, in models that have it; else x
//   product(w, x)            x * transpose(w), plus the bias in models that have it
//   rotary(x, layer)         every head turned by its position
//   attention(q, k, v, layer)  causal, of grouped heads, over what the layer has seen or a window of it
//   gated(gate, up)          the activation of gate, times up
//   partial(w, x)            this rank's terms of a product whose columns are shared out over the ranks
//   mixture(x, layer)        this rank's terms of  sum of share_e(x) * down_e gated(gate_e x, up_e x)  over the experts, where
//                            has_experts(); a backend without both has none
//   all_reduce(terms)        their sum over all ranks, plus the bias; in a group of one the terms themselves
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
  Gain query_norm = {}, key_norm = {}, attention_post_norm = {}, ffn_post_norm = {};
};

template <class Math, class X, class Weights>
auto llama_attend(Math& m, const X& x, const Weights& w, std::int64_t layer) {
  const auto query = m.rotary(m.head_norm(m.product(w.query, x), w.query_norm), layer);
  const auto key = m.rotary(m.head_norm(m.product(w.key, x), w.key_norm), layer);
  const auto value = m.product(w.value, x);
  return m.partial(w.attention_output, m.attention(query, key, value, layer));
}

template <class Math, class X, class Weights>
auto llama_feed_forward(Math& m, const X& x, const Weights& w, std::int64_t layer) {
  if constexpr (requires { m.mixture(x, layer); })
    if (m.has_experts()) return m.mixture(x, layer);
  const auto gate = m.product(w.gate, x);
  const auto up = m.product(w.up, x);
  return m.partial(w.down, m.gated(gate, up));
}

template <class Math, class X, class Weights>
X llama_block(Math& m, const X& x, const Weights& w, std::int64_t layer) {
  const X a = m.add(x, m.post_norm(m.all_reduce(llama_attend(m, m.norm(x, w.attention_norm), w, layer)), w.attention_post_norm));
  return m.add(a, m.post_norm(m.all_reduce(llama_feed_forward(m, m.norm(a, w.ffn_norm), w, layer)), w.ffn_post_norm));
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
