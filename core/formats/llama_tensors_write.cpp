// The tensors of a model on their way into a file.
#include "core/formats/llama_tensors.h"
#include "core/models/family.h"

namespace starling::core {
namespace {

Outgoing joined(const std::string& name, const std::vector<Outgoing>& parts, Shape shape) {
  return {name, parts.front().type, std::move(shape), [parts](const Sink& sink) {
            for (const Outgoing& one : parts) one.write(sink);
          }};
}

/// The same tensor of all experts, one behind the other.
Outgoing stack(const LlamaBlock& block, const BlockPart& part, const std::string& name, Type type) {
  std::vector<Outgoing> parts;
  for (const LlamaExpert& expert : block.experts) parts.push_back(outgoing(name, expert.*part.of_experts, type));
  const Shape& shape = parts.front().shape;
  return joined(name, parts, {static_cast<std::int64_t>(parts.size()), shape[0], shape[1]});
}

}  // namespace

std::vector<Outgoing> outgoing_tensors(const LlamaModel& model, const TensorNames& names, Type type,
                                       const std::function<RowOrder(std::int64_t heads)>& order) {
  std::vector<Outgoing> result;
  const LlamaConfig& c = model.config;
  const auto add = [&](std::string name, const Tensor& tensor, Type as, RowOrder rows = {}) {
    result.push_back(outgoing(std::move(name), tensor, storable(as, tensor.shape()), std::move(rows)));
  };
  const bool gate_above_up = names.layout == Layout::gguf && family_named(c.family, model.name).gguf_gate_above_up;
  add(names.embedding, model.ends.embedding, type);
  for (std::size_t at = 0; at < model.blocks.size(); ++at) {
    const LlamaBlock& block = model.blocks[at];
    const auto layer = static_cast<std::int64_t>(at);
    each_part(c, [&](const BlockPart& part, std::int64_t copy) {
      const std::string name = names.block(layer, part, copy);
      if (part.of_experts && names.layout == Layout::gguf) {
        if (copy == 0) result.push_back(stack(block, part, name, storable(type, (block.experts.front().*part.of_experts).shape())));
        return;
      }
      Tensor tensor = member(block, part, copy);
      if (gate_above_up && part.name == "gate") return;
      if (gate_above_up && part.name == "up") {
        const Type as = storable(type, tensor.shape());
        result.push_back(joined(name, {outgoing(name, block.gate, as), outgoing(name, tensor, as)}, {2 * tensor.rows(), tensor.columns()}));
        return;
      }
      if (part.rows == Extent::one && names.layout == Layout::gguf) tensor = tensor.reshaped({tensor.columns()});
      const Type as = part.kind == BlockPart::Kind::matrix ? type : Type::f32;
      if (!order || part.turn == BlockPart::Turn::none) return add(name, tensor, as);
      const RowOrder rows = order(part.turn == BlockPart::Turn::query ? c.heads : c.kv_heads);
      if (!part.is_vector()) return add(name, tensor, as, rows);
      Outgoing turned = outgoing(name, tensor.reshaped({tensor.columns(), 1}), as, rows);
      turned.shape = {tensor.columns()};
      result.push_back(std::move(turned));
    });
  }
  add(names.output_norm, model.ends.output_norm, Type::f32);
  if (!c.tied) add(names.output, model.ends.output, type);
  return result;
}

}  // namespace starling::core
