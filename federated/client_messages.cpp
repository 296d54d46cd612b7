#include "federated/client_messages.h"

#include <limits>

#include "comm/message.h"
#include "federated/client.capnp.h"

namespace starling::federated {

using core::check;
using core::Kind;

namespace {

/// Numbers of tasks, clients and rounds travel unsigned.
std::int64_t number(std::uint64_t value, std::string_view peer, std::string_view field) {
  check(value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()), Kind::malformed, "{}: {}: {}", peer, field, value);
  return static_cast<std::int64_t>(value);
}

std::uint64_t count(std::uint64_t value, std::string_view peer, std::string_view field) {
  check(value <= kValuesMax, Kind::malformed, "{}: {}: {} values, at most {}", peer, field, value, kValuesMax);
  return value;
}

}  // namespace

std::vector<std::byte> encode(const ClientJob& job) {
  return comm::encode_message<wire::ClientJob>([&](wire::ClientJob::Builder out) {
    out.setExperiment(job.experiment);
    out.setRun(job.run);
    out.setFirstTask(job.first_task);
    out.setNode(job.node);
    out.setNodes(job.nodes);
    out.setValues(job.values);
  });
}

std::vector<std::byte> encode(const ClientReady& ready) {
  return comm::encode_message<wire::ClientReady>([&](wire::ClientReady::Builder out) {
    out.setThreads(ready.threads);
    out.setOwnExamples(ready.own_examples);
  });
}

std::vector<std::byte> encode(const TaskMessage& task) {
  return comm::encode_message<wire::Task>([&](wire::Task::Builder out) {
    out.setTask(static_cast<std::uint64_t>(task.task));
    out.setClient(static_cast<std::uint64_t>(task.client));
    out.setRound(static_cast<std::uint64_t>(task.round));
    out.setProximal(task.work.proximal);
    out.setControlVariates(task.work.control_variates);
    out.setLossAtStart(task.work.loss_at_start);
    out.setNormsStayHome(task.work.norms_stay_home);
    out.setModel(task.model);
    out.setMore(task.more);
  });
}

std::vector<std::byte> encode(const ReplyMessage& message) {
  return comm::encode_message<wire::Reply>([&](wire::Reply::Builder out) {
    const TaskReply& reply = message.reply;
    out.setTask(static_cast<std::uint64_t>(reply.task));
    out.setClient(static_cast<std::uint64_t>(reply.client));
    out.setSteps(static_cast<std::uint64_t>(reply.steps));
    out.setExamples(reply.examples);
    out.setNormaliser(reply.normaliser);
    out.setLoss(reply.loss);
    out.setLossAtStart(reply.loss_at_start);
    out.setValues(message.values);
    out.setControlValues(message.control_values);
    out.setStateful(message.stateful);
    if (!message.failure.empty()) out.setFailure(message.failure);
  });
}

std::vector<std::byte> encode(const Verdict& verdict) {
  return comm::encode_message<wire::Verdict>([&](wire::Verdict::Builder out) {
    out.setTask(static_cast<std::uint64_t>(verdict.task));
    out.setClient(static_cast<std::uint64_t>(verdict.client));
    out.setCounts(verdict.counts);
  });
}

std::vector<std::byte> encode_settle(TaskId oldest) {
  return comm::encode_message<wire::Settle>([&](wire::Settle::Builder out) { out.setOldest(static_cast<std::uint64_t>(oldest)); });
}

std::vector<std::byte> encode(const ClientReport& report) {
  return comm::encode_message<wire::ClientReport>([&](wire::ClientReport::Builder out) {
    out.setTasks(report.tasks);
    out.setPeakRssBytes(report.peak_rss_bytes);
    out.setBytesSent(report.bytes_sent);
    out.setBytesReceived(report.bytes_received);
    out.setTrainMs(report.train_ms);
  });
}

ClientJob decode_client_job(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::ClientJob>(bytes, peer, "client job", [&](wire::ClientJob::Reader in) {
    ClientJob job{in.getExperiment(), in.getRun(), in.getFirstTask(), in.getNode(), in.getNodes(), count(in.getValues(), peer, "values")};
    check(job.node < job.nodes, Kind::malformed, "{}: node: {} of {}", peer, job.node, job.nodes);
    number(job.first_task, peer, "firstTask");
    return job;
  });
}

ClientReady decode_client_ready(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::ClientReady>(bytes, peer, "ready", [&](wire::ClientReady::Reader in) {
    check(in.getThreads() > 0 && in.getThreads() <= 1024, Kind::malformed, "{}: threads: {}, expected 1 to 1024", peer, in.getThreads());
    number(in.getOwnExamples(), peer, "ownExamples");
    return ClientReady{in.getThreads(), in.getOwnExamples()};
  });
}

TaskMessage decode_task(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::Task>(bytes, peer, "task", [&](wire::Task::Reader in) {
    TaskMessage task;
    task.task = number(in.getTask(), peer, "task");
    task.client = number(in.getClient(), peer, "client");
    task.round = number(in.getRound(), peer, "round");
    task.work = {in.getProximal(), in.getControlVariates(), in.getLossAtStart(), in.getNormsStayHome()};
    check(task.work.proximal >= 0 && task.work.proximal <= 1e6, Kind::malformed, "{}: proximal: {}, expected 0 to 1e6", peer, task.work.proximal);
    task.model = in.getModel();
    task.more = in.getMore();
    return task;
  });
}

ReplyMessage decode_reply(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::Reply>(bytes, peer, "reply", [&](wire::Reply::Reader in) {
    ReplyMessage message;
    TaskReply& reply = message.reply;
    reply.task = number(in.getTask(), peer, "task");
    reply.client = number(in.getClient(), peer, "client");
    reply.steps = number(in.getSteps(), peer, "steps");
    reply.examples = in.getExamples();
    reply.normaliser = in.getNormaliser();
    reply.loss = in.getLoss();
    reply.loss_at_start = in.getLossAtStart();
    message.values = count(in.getValues(), peer, "values");
    message.control_values = count(in.getControlValues(), peer, "controlValues");
    message.stateful = in.getStateful();
    message.failure = in.getFailure();
    return message;
  });
}

Verdict decode_verdict(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::Verdict>(bytes, peer, "verdict", [&](wire::Verdict::Reader in) {
    return Verdict{number(in.getTask(), peer, "task"), number(in.getClient(), peer, "client"), in.getCounts()};
  });
}

TaskId decode_settle(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::Settle>(bytes, peer, "settle", [&](wire::Settle::Reader in) { return number(in.getOldest(), peer, "oldest"); });
}

ClientReport decode_client_report(core::Bytes bytes, std::string_view peer) {
  return comm::decode_message<wire::ClientReport>(bytes, peer, "report", [&](wire::ClientReport::Reader in) {
    return ClientReport{in.getTasks(), in.getPeakRssBytes(), in.getBytesSent(), in.getBytesReceived(), in.getTrainMs()};
  });
}

}  // namespace starling::federated
