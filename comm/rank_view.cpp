#include "comm/rank_view.h"

#include <array>
#include <type_traits>

namespace starling::comm {
namespace {

class RankView final : public Transport {
 public:
  RankView(std::shared_ptr<SharedTransport> shared, Rank rank) : shared_(std::move(shared)), rank_(rank) {}

  Rank rank() const override { return 0; }
  Rank size() const override { return 2; }
  std::string name(Rank peer) const override {
    core::ensure(peer == 1, "a view has one peer");
    return shared_->transport.name(rank_);
  }
  void send(Rank, Kind kind, core::Bytes payload, Deadline deadline) override {
    const std::lock_guard lock(shared_->mutex);
    shared_->transport.send(rank_, kind, payload, deadline);
  }
  Incoming next(Rank, Deadline deadline) override {
    return when_there(deadline, [&] { return shared_->transport.next(rank_, deadline); });
  }
  void read(Rank, std::span<std::byte> into, Deadline deadline) override {
    when_there(deadline, [&] {
      shared_->transport.read(rank_, into, deadline);
      return 0;
    });
  }
  Rank wait_any(std::span<const Rank>, Deadline deadline) override {
    return when_there(deadline, [] { return Rank{1}; });
  }
  void send_heartbeats() override { shared_->transport.send_heartbeats(); }
  Counters counters(Rank) const override {
    const std::lock_guard lock(shared_->mutex);
    return shared_->transport.counters(rank_);
  }

 private:
  /// Runs `use` under the lock once a frame is there.
  template <class Use>
  std::invoke_result_t<Use> when_there(Deadline deadline, Use use) {
    constexpr auto kPause = std::chrono::microseconds(200);
    std::unique_lock lock(shared_->mutex);
    while (true) {
      try {
        const std::array<Rank, 1> among{rank_};
        shared_->transport.wait_any(among, Clock::now());
        return use();
      } catch (const core::Error& error) {
        if (error.kind() != core::Kind::timeout || Clock::now() >= deadline) throw;
      }
      shared_->pause.wait_for(lock, kPause);
    }
  }

  std::shared_ptr<SharedTransport> shared_;
  Rank rank_;
};

}  // namespace

std::unique_ptr<Transport> rank_view(std::shared_ptr<SharedTransport> shared, Rank rank) { return std::make_unique<RankView>(std::move(shared), rank); }

}  // namespace starling::comm
