#include "partition/shard_messages.h"

#include "comm/message.h"
#include "partition/plan.h"
#include "partition/shard.capnp.h"

namespace starling::partition {

using core::check;
using core::Kind;

std::uint16_t index_of(const core::BlockPart& part) { return static_cast<std::uint16_t>(&part - core::block_parts().data()); }

namespace {

// What families vary of a block, and rotary divisors in full precision.
void set_variations(wire::Shape::Builder out, const core::LlamaConfig& c) {
  auto divisors = out.initDivisors(static_cast<unsigned>(c.rope_divisors.size()));
  for (unsigned i = 0; i < divisors.size(); ++i) divisors.set(i, c.rope_divisors[i]);
  auto windows = out.initWindows(static_cast<unsigned>(c.windows.size()));
  for (unsigned i = 0; i < windows.size(); ++i) windows.set(i, static_cast<std::uint32_t>(c.windows[i]));
  out.setRopeMagnitude(c.rope_magnitude);
  out.setRotated(static_cast<std::uint32_t>(c.rotated));
  out.setHalves(c.pairing == core::Pairing::halves);
  out.setWindowRopeBase(c.window_rope_base);
  out.setAttentionScale(c.attention_scale);
  out.setAttentionCap(c.attention_cap);
  out.setGelu(c.gelu);
  out.setQkNorm(c.qk_norm);
  out.setPostNorms(c.post_norms);
  out.setQkvBias(c.qkv_bias);
  out.setOutputBias(c.output_bias);
  out.setFfnBias(c.ffn_bias);
  out.setExperts(static_cast<std::uint32_t>(c.experts));
  out.setExpertsUsed(static_cast<std::uint32_t>(c.experts_used));
  out.setExpertsNormalised(c.experts_normalised);
  out.setSharedFfn(static_cast<std::uint32_t>(c.shared_ffn));
}

// Lists are bounded by what the rest of the shape allows before they are copied; core::validate checks the values.
void read_variations(wire::Shape::Reader in, core::LlamaConfig& c, std::string_view peer) {
  check(in.getDivisors().size() <= c.head_size, Kind::malformed, "{}: divisors: {} for heads of {}", peer, in.getDivisors().size(), c.head_size);
  check(in.getWindows().size() <= c.layers, Kind::malformed, "{}: windows: {} for {} layers", peer, in.getWindows().size(), c.layers);
  for (const double divisor : in.getDivisors()) c.rope_divisors.push_back(divisor);
  for (const std::uint32_t window : in.getWindows()) c.windows.push_back(window);
  c.rope_magnitude = in.getRopeMagnitude();
  c.rotated = in.getRotated();
  c.pairing = in.getHalves() ? core::Pairing::halves : core::Pairing::interleaved;
  c.window_rope_base = in.getWindowRopeBase();
  c.attention_scale = in.getAttentionScale();
  c.attention_cap = in.getAttentionCap();
  c.gelu = in.getGelu();
  c.qk_norm = in.getQkNorm();
  c.post_norms = in.getPostNorms();
  c.qkv_bias = in.getQkvBias();
  c.output_bias = in.getOutputBias();
  c.ffn_bias = in.getFfnBias();
  c.experts = in.getExperts();
  c.experts_used = in.getExpertsUsed();
  c.experts_normalised = in.getExpertsNormalised();
  c.shared_ffn = in.getSharedFfn();
}

}  // namespace

std::vector<std::byte> encode(const ShardJob& job) {
  return comm::encode_message<wire::ShardJob>([&](wire::ShardJob::Builder out) {
    auto shape = out.initShape();
    shape.setWidth(static_cast<std::uint32_t>(job.config.width));
    shape.setLayers(static_cast<std::uint32_t>(job.config.layers));
    shape.setHeads(static_cast<std::uint32_t>(job.config.heads));
    shape.setKvHeads(static_cast<std::uint32_t>(job.config.kv_heads));
    shape.setHeadSize(static_cast<std::uint32_t>(job.config.head_size));
    shape.setFfn(static_cast<std::uint32_t>(job.config.ffn));
    shape.setNormEpsilon(job.config.norm_epsilon);
    shape.setRopeBase(job.config.rope_base);
    set_variations(shape, job.config);
    auto slice = out.initSlice();
    slice.setKvBegin(static_cast<std::uint32_t>(job.slice.kv_begin));
    slice.setKvEnd(static_cast<std::uint32_t>(job.slice.kv_end));
    slice.setFfnBegin(static_cast<std::uint32_t>(job.slice.ffn_begin));
    slice.setFfnEnd(static_cast<std::uint32_t>(job.slice.ffn_end));
    out.setExactSum(job.sum == core::Sum::exact);
    out.setKvType(static_cast<std::uint32_t>(job.kv_type));
    out.setPositions(static_cast<std::uint32_t>(job.positions));
    out.setSequences(static_cast<std::uint32_t>(job.sequences));
    out.setRowsMax(static_cast<std::uint32_t>(job.rows_max));
    out.setAllreduce(job.allreduce);
    out.setWeightBytes(job.weight_bytes);
  });
}

std::vector<std::byte> encode(const TensorHeader& header) {
  return comm::encode_message<wire::Tensor>([&](wire::Tensor::Builder out) {
    out.setLayer(header.layer);
    out.setPart(header.part);
    out.setCopy(header.copy);
    out.setType(static_cast<std::uint32_t>(header.type));
    out.setRows(header.shape.size() == 2 ? static_cast<std::uint32_t>(header.shape[0]) : 0);
    out.setColumns(static_cast<std::uint32_t>(header.shape.back()));
  });
}

std::vector<std::byte> encode(const Ready& ready) {
  return comm::encode_message<wire::Ready>([&](wire::Ready::Builder out) {
    out.setWeightBytes(ready.weight_bytes);
    out.setKvBytes(ready.kv_bytes);
    out.setLoadMs(ready.load_ms);
  });
}

std::vector<std::byte> encode(const ShardReport& report) {
  return comm::encode_message<wire::Report>([&](wire::Report::Builder out) {
    out.setWeightBytes(report.weight_bytes);
    out.setKvBytes(report.kv_bytes);
    out.setPeakRssBytes(report.peak_rss_bytes);
    out.setBytesSent(report.bytes_sent);
    out.setBytesReceived(report.bytes_received);
    out.setComputeMs(report.compute_ms);
    out.setWaitMs(report.wait_ms);
    out.setLoadMs(report.load_ms);
  });
}

namespace {

core::Type element_type(std::uint32_t id, std::string_view peer, std::string_view field) {
  const auto type = core::type_from_id(id);
  check(type.has_value(), Kind::malformed, "{}: {}: no element type has the id {}", peer, field, id);
  return *type;
}

core::LlamaSlice read_slice(wire::Slice::Reader in, const core::LlamaConfig& config, std::string_view peer) {
  const core::LlamaSlice slice{in.getKvBegin(), in.getKvEnd(), in.getFfnBegin(), in.getFfnEnd()};
  const std::int64_t unit = core::units(config).ffn_columns;
  check(slice.kv_begin <= slice.kv_end && slice.kv_end <= config.kv_heads, Kind::malformed,
        "{}: slice: kv heads {} to {} of {}", peer, slice.kv_begin, slice.kv_end, config.kv_heads);
  check(slice.ffn_begin <= slice.ffn_end && slice.ffn_end <= config.ffn, Kind::malformed,
        "{}: slice: feed-forward columns {} to {} of {}", peer, slice.ffn_begin, slice.ffn_end, config.ffn);
  const auto at_boundary = [&](std::int64_t column) { return column % unit == 0 || column == config.ffn; };
  check(at_boundary(slice.ffn_begin) && at_boundary(slice.ffn_end), Kind::malformed,
        "{}: slice: feed-forward columns {} to {} are not cut at units of {}", peer, slice.ffn_begin, slice.ffn_end,
        unit);
  return slice;
}

constexpr std::int64_t kPositionsMax = std::int64_t{1} << 24;
constexpr std::int64_t kRowsMax = std::int64_t{1} << 16;

}  // namespace

ShardJob decode_shard_job(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::ShardJob>(bytes, peer, "shard job", [&](wire::ShardJob::Reader in) {
    ShardJob job;
    const auto shape = in.getShape();
    job.config.width = shape.getWidth();
    job.config.layers = shape.getLayers();
    job.config.heads = shape.getHeads();
    job.config.kv_heads = shape.getKvHeads();
    job.config.head_size = shape.getHeadSize();
    job.config.ffn = shape.getFfn();
    job.config.norm_epsilon = shape.getNormEpsilon();
    job.config.rope_base = shape.getRopeBase();
    read_variations(shape, job.config, peer);
    // validate() asks for a vocabulary and a context, which a worker is not told.
    core::LlamaConfig whole_model = job.config;
    whole_model.vocabulary = whole_model.context = 1;
    core::validate(whole_model, std::string(peer));
    job.slice = read_slice(in.getSlice(), job.config, peer);
    job.sum = in.getExactSum() ? core::Sum::exact : core::Sum::fast;
    job.kv_type = element_type(in.getKvType(), peer, "kvType");
    job.positions = in.getPositions();
    job.rows_max = in.getRowsMax();
    job.sequences = in.getSequences();
    check(job.positions > 0 && job.positions <= kPositionsMax, Kind::malformed, "{}: positions: {}", peer,
          job.positions);
    check(job.rows_max > 0 && job.rows_max <= kRowsMax, Kind::malformed, "{}: rowsMax: {}", peer, job.rows_max);
    check(job.sequences > 0 && job.sequences <= kSequencesMax, Kind::malformed, "{}: sequences: {} is not in 1..{}", peer,
          job.sequences, kSequencesMax);
    job.allreduce = in.getAllreduce();
    job.weight_bytes = in.getWeightBytes();
    return job;
  });
}

TensorHeader decode_tensor_header(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::Tensor>(bytes, peer, "tensor", [&](wire::Tensor::Reader in) {
    TensorHeader header;
    header.layer = in.getLayer();
    const auto parts = core::block_parts();
    check(in.getPart() < parts.size(), Kind::malformed, "{}: part: {} of {}", peer, in.getPart(), parts.size());
    header.part = in.getPart();
    header.copy = in.getCopy();
    header.type = element_type(in.getType(), peer, "type");
    header.shape = parts[header.part].is_vector() ? core::Shape{in.getColumns()} : core::Shape{in.getRows(), in.getColumns()};
    return header;
  });
}

Ready decode_ready(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::Ready>(bytes, peer, "ready", [&](wire::Ready::Reader in) {
    return Ready{in.getWeightBytes(), in.getKvBytes(), in.getLoadMs()};
  });
}

ShardReport decode_shard_report(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::Report>(bytes, peer, "report", [&](wire::Report::Reader in) {
    ShardReport report;
    report.weight_bytes = in.getWeightBytes();
    report.kv_bytes = in.getKvBytes();
    report.peak_rss_bytes = in.getPeakRssBytes();
    report.bytes_sent = in.getBytesSent();
    report.bytes_received = in.getBytesReceived();
    report.compute_ms = in.getComputeMs();
    report.wait_ms = in.getWaitMs();
    report.load_ms = in.getLoadMs();
    return report;
  });
}

}  // namespace starling::partition
