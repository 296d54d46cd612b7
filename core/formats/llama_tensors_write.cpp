// The tensors of a model on their way into a file.
#include "core/formats/llama_tensors.h"

namespace starling::core {

std::vector<Outgoing> outgoing_tensors(const LlamaModel& model, const TensorNames& names, Type type,
                                       const std::function<RowOrder(std::int64_t heads)>& order) {
  std::vector<Outgoing> result;
  const auto add = [&](std::string name, const Tensor& tensor, Type as, RowOrder rows = {}) {
    result.push_back(outgoing(std::move(name), tensor, storable(as, tensor.shape()), std::move(rows)));
  };
  add(names.embedding, model.ends.embedding, type);
  for (std::size_t layer = 0; layer < model.blocks.size(); ++layer) {
    for (const BlockTensor& t : block_tensors()) {
      RowOrder rows;
      if (order && t.role == BlockTensor::Role::query) rows = order(model.config.heads);
      if (order && t.role == BlockTensor::Role::key) rows = order(model.config.kv_heads);
      add(names.block(static_cast<std::int64_t>(layer), t), model.blocks[layer].*t.member,
          t.role == BlockTensor::Role::norm ? Type::f32 : type, std::move(rows));
    }
  }
  add(names.output_norm, model.ends.output_norm, Type::f32);
  if (!model.config.tied) add(names.output, model.ends.output, type);
  return result;
}

}  // namespace starling::core
