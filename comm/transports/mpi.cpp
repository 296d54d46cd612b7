#include "comm/transports/mpi.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>

#include <poll.h>
#include <sched.h>

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include "comm/transports/piped.h"

namespace starling::comm {

namespace {

constexpr int kTag = 1;
/// One message at most; a frame of many gigabytes is many messages, far from MPI's limit of 2^31 - 1.
constexpr std::size_t kChunkBytes = 256 << 10;
/// Messages on their way to one peer. They are sent synchronously: a message is done when its receiver takes it,
/// so that a slow reader stops the sender instead of filling its own memory.
constexpr std::size_t kSendsMax = 16;
/// Last messages get so much time when the transport ends.
constexpr auto kFarewell = std::chrono::seconds(1);

void succeed(int result, const char* what) {
  core::check(result == MPI_SUCCESS, core::Kind::unreachable, "MPI: {} failed with code {}", what, result);
}

/// MPI's state for this process; calls into MPI happen one at a time.
class MpiShared {
 public:
  MpiShared() {
    int already = 0, provided = 0;
    MPI_Initialized(&already);
    if (already)
      succeed(MPI_Query_thread(&provided), "MPI_Query_thread");
    else
      succeed(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
    started_ = !already;
    core::check(provided >= MPI_THREAD_SERIALIZED, core::Kind::unsupported,
                "this MPI gives thread level {}, MPI_THREAD_SERIALIZED is needed", provided);
    succeed(MPI_Comm_dup(MPI_COMM_WORLD, &communicator), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(communicator, MPI_ERRORS_RETURN);
    MPI_Comm_rank(communicator, &rank);
    MPI_Comm_size(communicator, &size);
  }
  ~MpiShared() {
    MPI_Comm_free(&communicator);
    if (started_) MPI_Finalize();
  }
  MpiShared(const MpiShared&) = delete;
  MpiShared& operator=(const MpiShared&) = delete;

  std::mutex mutex;
  MPI_Comm communicator = MPI_COMM_NULL;
  int rank = 0, size = 1;
  std::vector<std::vector<std::byte>> unsent;  // MPI may read them until it ends

 private:
  bool started_ = false;
};

/// One receive is always posted; an empty message says that the peer closes.
class MpiPipe final : public Pipe {
 public:
  MpiPipe(std::shared_ptr<MpiShared> shared, int peer) : shared_(std::move(shared)), peer_(peer), inbox_(kChunkBytes) {
    post_receive();
  }
  ~MpiPipe() override {
    const std::lock_guard lock(shared_->mutex);
    try {
      say_farewell();
    } catch (const core::Error&) {
      closed_ = true;  // MPI is broken; the rest is only tidying up
    }
    for (Sent& sent : sends_) {
      MPI_Request_free(&sent.request);
      shared_->unsent.push_back(std::move(sent.bytes));
    }
    if (receiving_) {
      MPI_Cancel(&receive_);
      MPI_Wait(&receive_, MPI_STATUS_IGNORE);
    }
  }

  std::optional<std::size_t> write(core::Bytes head, core::Bytes body) override {
    const std::lock_guard lock(shared_->mutex);
    if (closed_) return std::nullopt;
    finish_sends();
    const std::size_t total = head.size() + body.size();
    std::size_t done = 0;
    while (done < total && sends_.size() < kSendsMax) {
      const std::size_t count = std::min(total - done, kChunkBytes);
      start_send(head.subspan(std::min(done, head.size())), body.subspan(done - std::min(done, head.size())), count);
      done += count;
    }
    return done;
  }

  std::optional<std::size_t> read(std::span<std::byte> into) override {
    const std::lock_guard lock(shared_->mutex);
    if (!sends_.empty()) finish_sends();
    std::size_t count = 0;
    while (count < into.size() && !closed_) {
      if (receiving_) {
        if (!arrived()) break;
        closed_ = inbox_end_ == 0;
      }
      const std::size_t n = std::min(into.size() - count, inbox_end_ - inbox_begin_);
      std::memcpy(into.data() + count, inbox_.data() + inbox_begin_, n);
      inbox_begin_ += n;
      count += n;
      if (inbox_begin_ == inbox_end_ && !closed_) post_receive();
    }
    if (count == 0 && closed_) return std::nullopt;
    return count;
  }

 private:
  struct Sent {
    MPI_Request request = MPI_REQUEST_NULL;
    std::vector<std::byte> bytes;
  };

  /// Both ends do this at about the same time: each takes the other's last words, or neither gets rid of its own.
  void say_farewell() {
    start_send({}, {}, 0);
    if (!closed_ && !receiving_) post_receive();
    const Deadline deadline = after(kFarewell);
    while ((!sends_.empty() || !closed_) && Clock::now() < deadline) {
      finish_sends();
      if (!closed_ && arrived()) {
        closed_ = inbox_end_ == 0;
        if (!closed_) post_receive();
      }
      sched_yield();
    }
  }

  void post_receive() {
    inbox_begin_ = inbox_end_ = 0;
    succeed(MPI_Irecv(inbox_.data(), static_cast<int>(inbox_.size()), MPI_BYTE, peer_, kTag, shared_->communicator,
                      &receive_),
            "MPI_Irecv");
    receiving_ = true;
  }

  bool arrived() {
    int flag = 0, count = 0;
    MPI_Status status;
    succeed(MPI_Test(&receive_, &flag, &status), "MPI_Test");
    if (!flag) return false;
    receiving_ = false;
    MPI_Get_count(&status, MPI_BYTE, &count);
    inbox_end_ = static_cast<std::size_t>(count);
    return true;
  }

  void start_send(core::Bytes head, core::Bytes body, std::size_t count) {
    Sent sent;
    if (!spare_.empty()) {
      sent.bytes = std::move(spare_.back());
      spare_.pop_back();
    }
    sent.bytes.resize(count);
    const std::size_t from_head = std::min(count, head.size());
    if (from_head > 0) std::memcpy(sent.bytes.data(), head.data(), from_head);
    if (count > from_head) std::memcpy(sent.bytes.data() + from_head, body.data(), count - from_head);
    succeed(MPI_Issend(sent.bytes.data(), static_cast<int>(count), MPI_BYTE, peer_, kTag, shared_->communicator,
                       &sent.request),
            "MPI_Issend");
    sends_.push_back(std::move(sent));
  }

  void finish_sends() {
    while (!sends_.empty()) {
      int flag = 0;
      succeed(MPI_Test(&sends_.front().request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
      if (!flag) return;
      spare_.push_back(std::move(sends_.front().bytes));
      sends_.pop_front();
    }
  }

  std::shared_ptr<MpiShared> shared_;
  const int peer_;
  std::vector<std::byte> inbox_;
  std::size_t inbox_begin_ = 0, inbox_end_ = 0;
  MPI_Request receive_ = MPI_REQUEST_NULL;
  bool receiving_ = false, closed_ = false;
  std::deque<Sent> sends_;
  std::vector<std::vector<std::byte>> spare_;
};

/// MPI has no way to sleep: it is asked at short intervals, longer ones the longer nothing comes.
class MpiSleeper final : public Sleeper {
 public:
  void sleep(std::span<const Interest>, Deadline until) override {
    const Clock::time_point now = Clock::now();
    const bool again = now - last_ < std::chrono::milliseconds(5);
    nap_ = again ? std::min<Clock::duration>(nap_ + nap_ / 8, std::chrono::milliseconds(1)) : kFirst;
    const auto left = std::clamp<Clock::duration>(until - now, Clock::duration::zero(), nap_);
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const timespec nap{ns / 1'000'000'000, ns % 1'000'000'000};
    ppoll(nullptr, 0, &nap, nullptr);
    last_ = Clock::now();
  }

 private:
  static constexpr Clock::duration kFirst = std::chrono::microseconds(20);
  Clock::duration nap_ = kFirst;
  Clock::time_point last_{};
};

}  // namespace

std::unique_ptr<Transport> mpi_world(const Limits& limits) {
  const auto shared = std::make_shared<MpiShared>();
  std::vector<std::string> names;
  for (int i = 0; i < shared->size; ++i) names.push_back(fmt::format("rank {} (mpi)", i));
  int here = shared->size;
  MPI_Comm node;
  if (MPI_Comm_split_type(shared->communicator, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node) == MPI_SUCCESS) {
    MPI_Comm_size(node, &here);
    MPI_Comm_free(&node);
  }
  auto transport = std::make_unique<PipedTransport>(shared->rank, std::move(names), limits, wait_policy(here),
                                                    std::make_unique<MpiSleeper>());
  for (int peer = 0; peer < shared->size; ++peer)
    if (peer != shared->rank) transport->add(peer, {}, std::make_unique<MpiPipe>(shared, peer));
  transport->keep(shared);
  return transport;
}

bool under_mpi_launcher() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMI_SIZE") != nullptr ||
         std::getenv("PMIX_RANK") != nullptr;
}

void mpi_give_up(int status) {
  int running = 0;
  MPI_Initialized(&running);
  if (running) MPI_Abort(MPI_COMM_WORLD, status);
  core::fail(core::Kind::usage, "no MPI job runs that could end with status {}", status);
}

}  // namespace starling::comm
