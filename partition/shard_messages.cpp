#include "partition/shard_messages.h"

#include <array>

#include "comm/message.h"
#include "partition/plan.h"
#include "partition/shard.capnp.h"

namespace starling::partition {

using core::check;
using core::Kind;

std::string_view to_string(Role role) {
  constexpr std::array<std::string_view, kRoles> kNames{
      "attention_norm", "query", "key", "value", "attention_output", "ffn_norm", "gate", "up", "down"};
  const auto index = static_cast<std::size_t>(role);
  return index < kNames.size() ? kNames[index] : "unknown";
}

const core::Tensor& member(const core::LlamaBlock& block, Role role) {
  switch (role) {
    case Role::attention_norm: return block.attention_norm;
    case Role::query: return block.query;
    case Role::key: return block.key;
    case Role::value: return block.value;
    case Role::attention_output: return block.attention_output;
    case Role::ffn_norm: return block.ffn_norm;
    case Role::gate: return block.gate;
    case Role::up: return block.up;
    case Role::down: return block.down;
  }
  core::fail(Kind::internal, "no such tensor role: {}", static_cast<unsigned>(role));
}

core::Tensor& member(core::LlamaBlock& block, Role role) {
  return const_cast<core::Tensor&>(member(static_cast<const core::LlamaBlock&>(block), role));
}

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
    auto divisors = shape.initRopeDivisors(static_cast<unsigned>(job.config.rope_divisors.size()));
    for (unsigned i = 0; i < divisors.size(); ++i) divisors.set(i, job.config.rope_divisors[i]);
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
    out.setRole(static_cast<std::uint16_t>(header.role));
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
    for (const float divisor : shape.getRopeDivisors()) job.config.rope_divisors.push_back(divisor);
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
    check(in.getRole() < kRoles, Kind::malformed, "{}: role: {} of {}", peer, in.getRole(), kRoles);
    header.role = static_cast<Role>(in.getRole());
    header.type = element_type(in.getType(), peer, "type");
    const bool vector = header.role == Role::attention_norm || header.role == Role::ffn_norm;
    header.shape = vector ? core::Shape{in.getColumns()} : core::Shape{in.getRows(), in.getColumns()};
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
