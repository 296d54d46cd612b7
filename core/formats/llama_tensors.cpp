#include "core/formats/llama_tensors.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "core/models/family.h"
#include "core/quant/blocks.h"

namespace starling::core {
namespace {

/// Parts that some files keep in one tensor, their rows one behind the other.
struct Fusion {
  const char* gguf;
  const char* hugging_face;
  std::array<std::string_view, 3> parts;
};
constexpr std::array kFusions{
    Fusion{"attn_qkv.weight", "self_attn.qkv_proj.weight", {"query", "key", "value"}},
    Fusion{"attn_qkv.bias", "self_attn.qkv_proj.bias", {"query_bias", "key_bias", "value_bias"}},
    Fusion{"ffn_up.weight", "mlp.gate_up_proj.weight", {"gate", "up", ""}},
    Fusion{"ffn_gate_up_exps.weight", "mlp.experts.gate_up_proj", {"expert_gate", "expert_up", ""}},
};
/// What Hugging Face checkpoints with experts in stacks call them.
constexpr std::string_view kStackedDown = "mlp.experts.down_proj";

const BlockPart& part_named(std::string_view name) {
  for (const BlockPart& part : block_parts())
    if (part.name == name) return part;
  fail(Kind::internal, "no part of a block is called {}", name);
}

std::string fused_name(const TensorNames& names, std::int64_t layer, const Fusion& fusion) {
  return names.of_layer(layer, names.layout == Layout::gguf ? fusion.gguf : fusion.hugging_face);
}

/// Rows [begin, end) of a matrix, or values of a vector.
Tensor piece(const Tensor& tensor, std::int64_t begin, std::int64_t end) {
  if (tensor.shape().size() != 1) return tensor.slice_rows(begin, end);
  return to_float(tensor).reshaped({tensor.columns(), 1}).slice_rows(begin, end).reshaped({end - begin});
}

class Finder {
 public:
  Finder(const LlamaConfig& config, const TensorNames& names, const TensorLookup& find, const std::string& source)
      : config_(config), all_(whole(config)), names_(names), find_(find), source_(source) {}

  Tensor expect(const std::string& name, const Shape& shape) const { return checked(find_(name), name, shape); }

  Tensor part(std::int64_t layer, const BlockPart& part, std::int64_t copy) const {
    const Shape shape = part_shape(part, config_, all_);
    for (const Fusion& fusion : kFusions)
      if (std::find(fusion.parts.begin(), fusion.parts.end(), part.name) != fusion.parts.end())
        if (auto found = from_fusion(layer, fusion, part, copy)) return *std::move(found);
    std::string name = names_.block(layer, part, copy);
    if (!part.of_experts) return expect(name, shape);
    const bool gguf = names_.layout == Layout::gguf;
    if (!gguf && part.name == "expert_down") {
      const std::string stack = names_.of_layer(layer, kStackedDown);
      if (const auto found = find_(stack)) return from_stack(*found, stack, shape, copy);
    }
    const auto found = find_(name);
    return gguf && found ? from_stack(*found, name, shape, copy) : checked(found, name, shape);
  }

 private:
  Tensor checked(const std::optional<Tensor>& tensor, const std::string& name, const Shape& shape) const {
    check(tensor.has_value(), Kind::malformed, "{}: tensor {} is missing", source_, name);
    // A vector may be kept as a matrix of one row.
    if (shape.size() == 2 && shape[0] == 1 && tensor->shape() == Shape{shape[1]}) return tensor->reshaped(shape);
    check(tensor->shape() == shape, Kind::malformed, "{}: tensor {} has shape [{}], the configuration asks for [{}]",
          source_, name, fmt::join(tensor->shape(), ", "), fmt::join(shape, ", "));
    return *tensor;
  }

  Tensor from_stack(const Tensor& stack, const std::string& name, const Shape& shape, std::int64_t copy) const {
    checked(stack, name, {config_.experts, shape[0], shape[1]});
    return stack.reshaped({config_.experts * shape[0], shape[1]}).slice_rows(copy * shape[0], (copy + 1) * shape[0]);
  }

  std::optional<Tensor> from_fusion(std::int64_t layer, const Fusion& fusion, const BlockPart& part, std::int64_t copy) const {
    const std::string name = fused_name(names_, layer, fusion);
    auto found = find_(name);
    if (!found) return std::nullopt;
    std::int64_t total = 0, begin = 0;
    for (const std::string_view other : fusion.parts) {
      if (other.empty()) continue;
      if (other == part.name) begin = total;
      total += part_shape(part_named(other), config_, all_)[0];
    }
    Shape shape = part_shape(part, config_, all_);
    const std::int64_t rows = shape[0];
    shape[0] = total;
    if (part.of_experts) return from_stack(*found, name, shape, copy).slice_rows(begin, begin + rows);
    // The name of "up" alone, or of gate and up.
    if (name == names_.of_layer(layer, "ffn_up.weight") && found->shape() != shape) return std::nullopt;
    return piece(checked(found, name, shape), begin, begin + rows);
  }

  const LlamaConfig& config_;
  const LlamaSlice all_;
  const TensorNames& names_;
  const TensorLookup& find_;
  const std::string& source_;
};

}  // namespace

std::string TensorNames::of_layer(std::int64_t layer, std::string_view rest) const {
  return layout == Layout::gguf ? fmt::format("blk.{}.{}", layer, rest) : fmt::format("model.layers.{}.{}", layer, rest);
}

std::string TensorNames::block(std::int64_t layer, const BlockPart& part, std::int64_t copy) const {
  if (layout == Layout::gguf) return of_layer(layer, part.gguf);
  std::string name = part.hugging_face;
  for (const RenamedPart& other : family->renamed)
    if (other.part == part.name) name = other.hugging_face;
  if (const std::size_t at = name.find("{}"); at != std::string::npos) name.replace(at, 2, std::to_string(copy));
  return of_layer(layer, name);
}

TensorNames gguf_names() { return {Layout::gguf, nullptr, "token_embd.weight", "output_norm.weight", "output.weight"}; }

TensorNames hugging_face_names(const LlamaConfig& config) {
  return {Layout::hugging_face, &family_named(config.family, "the model"), "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"};
}

void find_biases(LlamaConfig& config, const TensorNames& names, const std::function<bool(const std::string& name)>& has) {
  const auto any = [&](std::initializer_list<std::string_view> parts) {
    return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) { return has(names.block(0, part_named(part))); });
  };
  config.qkv_bias = config.qkv_bias || any({"query_bias", "key_bias", "value_bias"}) || has(fused_name(names, 0, kFusions[1]));
  config.output_bias = config.output_bias || any({"output_bias"});
  config.ffn_bias = config.ffn_bias || any({"gate_bias", "up_bias", "down_bias"});
}

void fill_tensors(LlamaModel& model, const TensorNames& names, const TensorLookup& find, const std::string& source) {
  const LlamaConfig& c = model.config;
  const Finder finder(c, names, find, source);
  model.ends.embedding = finder.expect(names.embedding, {c.vocabulary, c.width});
  model.ends.output_norm = to_float(finder.expect(names.output_norm, {c.width}));
  model.ends.output = c.tied ? model.ends.embedding : finder.expect(names.output, {c.vocabulary, c.width});
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    LlamaBlock block;
    block.experts.resize(static_cast<std::size_t>(c.experts));
    each_part(c, [&](const BlockPart& part, std::int64_t copy) {
      Tensor tensor = finder.part(layer, part, copy);
      member(block, part, copy) = part.kind == BlockPart::Kind::matrix ? std::move(tensor) : to_float(tensor);
    });
    model.blocks.push_back(std::move(block));
  }
}

void refuse_unknown_tensors(std::span<const std::string> present, const LlamaConfig& config, const TensorNames& names,
                            std::span<const std::string_view> ignored, const std::string& source) {
  std::unordered_set<std::string> known{names.embedding, names.output_norm, names.output};
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    each_part(config, [&](const BlockPart& part, std::int64_t copy) { known.insert(names.block(layer, part, copy)); });
    for (const Fusion& fusion : kFusions)
      if (part_named(fusion.parts[0]).present(config)) known.insert(fused_name(names, layer, fusion));
    if (config.experts > 0 && names.layout == Layout::hugging_face) known.insert(names.of_layer(layer, kStackedDown));
  }
  for (const std::string& name : present) {
    const bool harmless = std::any_of(ignored.begin(), ignored.end(), [&](auto end) { return name.ends_with(end); });
    check(harmless || known.contains(name), Kind::unsupported, "{}: tensor {} is no part of a {} model with this configuration", source,
          name, config.family);
  }
}

}  // namespace starling::core
