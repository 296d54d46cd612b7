#include "federated/client_service.h"

#include <sys/resource.h>

#include <chrono>

#include "core/error.h"
#include "federated/value_frames.h"

namespace starling::federated {
namespace {

using core::check;
using core::Kind;

constexpr comm::Rank kServer = 0;
constexpr std::size_t kBatchMax = 1024;

class Service {
 public:
  Service(comm::Transport& transport, const ClientJob& job, const ClientServiceOptions& options)
      : transport_(transport),
        job_(job),
        side_(options.make(job)),
        states_(options.states.empty() ? options.states : options.states / fmt::format("{:016x}", job.run), static_cast<TaskId>(job.first_task)),
        workplace_(local_workplace(side_->model(), side_->data(), states_, {side_->local(), options.threads})),
        without_norms_(*side_->model().layout(), {.norms_stay_home = true}) {
    const auto values = static_cast<std::uint64_t>(side_->model().layout()->size());
    check(values == job.values, Kind::malformed, "{}: values: the server's model has {}, this node's {}", peer(), job.values, values);
    transport.send(kServer, comm::Kind::ready, encode(ClientReady{static_cast<std::uint32_t>(options.threads), side_->own_examples()}), comm::kNoDeadline);
  }

  void run() {
    while (true) {
      const comm::Incoming incoming = transport_.next(kServer, comm::kNoDeadline);
      switch (incoming.kind) {
        case comm::Kind::task: receive_task(read(incoming)); break;
        case comm::Kind::verdict: judge(decode_verdict(read(incoming), peer())); break;
        case comm::Kind::settle:
          workplace_->settle(decode_settle(read(incoming), peer()));
          transport_.send(kServer, comm::Kind::settled, {}, comm::kNoDeadline);
          break;
        case comm::Kind::finish:
          transport_.read(kServer, {}, comm::kNoDeadline);
          report();
          return;
        default: core::fail(Kind::malformed, "{}: sent a {} frame where a task was expected", peer(), comm::to_string(incoming.kind));
      }
    }
  }

 private:
  std::string peer() const { return transport_.name(kServer); }

  std::vector<std::byte> read(const comm::Incoming& incoming) {
    constexpr std::uint64_t kBytesMax = 64 << 10;
    check(incoming.length <= kBytesMax, Kind::malformed, "{}: a {} message of {} bytes, at most {}", peer(), comm::to_string(incoming.kind), incoming.length, kBytesMax);
    std::vector<std::byte> bytes(incoming.length);
    transport_.read(kServer, bytes, comm::kNoDeadline);
    return bytes;
  }

  /// Whole, with the initial values where the server's stay home.
  std::vector<float> receive_model(const LocalWork& work) {
    if (!work.norms_stay_home) return receive_values(transport_, kServer, job_.values);
    core::Parameters model(side_->model().layout());
    core::initialise(model, side_->local().seed);
    without_norms_.put(receive_values(transport_, kServer, without_norms_.values()), model.values);
    return std::move(model.values);
  }

  void receive_task(core::Bytes bytes) {
    const TaskMessage message = decode_task(bytes, peer());
    check(message.client < side_->data().clients(), Kind::malformed, "{}: client: {} of {}", peer(), message.client, side_->data().clients());
    if (message.model) {
      model_ = std::make_shared<const std::vector<float>>(receive_model(message.work));
      control_ = message.work.control_variates ? std::make_shared<const std::vector<float>>(receive_values(transport_, kServer, job_.values)) : nullptr;
    }
    check(model_ != nullptr && message.work.control_variates == (control_ != nullptr), Kind::malformed, "{}: task {} without a model", peer(), message.task);
    workplace_->begin({message.task, message.client, message.round, model_, control_, message.work}, 0);
    batch_.push_back({message.task, message.work.norms_stay_home});
    check(batch_.size() <= kBatchMax, Kind::malformed, "{}: more than {} tasks at once", peer(), kBatchMax);
    if (message.more) return;
    const auto start = std::chrono::steady_clock::now();
    for (const auto& [task, norms_stay_home] : batch_) answer(workplace_->finish(task), norms_stay_home);
    report_.train_ms += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    report_.tasks += batch_.size();
    batch_.clear();
  }

  void answer(Trained&& trained, bool norms_stay_home) {
    ReplyMessage message;
    const bool whole = !norms_stay_home || trained.reply.model.empty();
    const std::vector<float> values = whole ? std::move(trained.reply.model) : without_norms_.pick(trained.reply.model), control = std::move(trained.reply.control);
    message.reply = std::move(trained.reply);
    message.reply.task = trained.task;
    message.values = values.size();
    message.control_values = control.size();
    message.stateful = trained.stateful;
    message.failure = std::move(trained.failure);
    transport_.send(kServer, comm::Kind::reply, encode(message), comm::kNoDeadline);
    send_values(transport_, kServer, values);
    send_values(transport_, kServer, control);
  }

  void judge(const Verdict& verdict) {
    if (verdict.counts)
      workplace_->commit({verdict.task, verdict.client});
    else
      workplace_->release(verdict.task);
  }

  void report() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    report_.peak_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
    const comm::Counters counters = transport_.counters(kServer);
    report_.bytes_sent = counters.bytes_sent;
    report_.bytes_received = counters.bytes_received;
    transport_.send(kServer, comm::Kind::report, encode(report_), comm::kNoDeadline);
  }

  comm::Transport& transport_;
  ClientJob job_;
  std::unique_ptr<ClientSide> side_;
  ClientStates states_;
  std::unique_ptr<Workplace> workplace_;
  Vector model_, control_;
  const Exchanged without_norms_;
  std::vector<std::pair<TaskId, bool>> batch_;  // whose norm layers stay home, or not
  ClientReport report_;
};

}  // namespace

void serve_clients(comm::Transport& transport, core::Bytes settings, const ClientServiceOptions& options) {
  Service(transport, decode_client_job(settings, transport.name(kServer)), options).run();
}

}  // namespace starling::federated
