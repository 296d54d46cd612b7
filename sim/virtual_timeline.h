// Virtual time: tasks take as long as the profiles of devices and links say, whatever trains them and however long that
// takes. A run has the same bits on the threads of one process and on nodes.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>

#include "federated/run.h"
#include "sim/devices.h"

namespace starling::sim {

class VirtualTimeline final : public federated::Timeline {
 public:
  /// How many examples a client has, where its data may be somewhere else.
  using Count = std::function<std::int64_t(std::int64_t client)>;

  /// The arguments are borrowed, but for the options.
  VirtualTimeline(const Devices& devices, const federated::LocalOptions& local, Count count, federated::Workplace& workplace)
      : devices_(devices), local_(local), count_(std::move(count)), workplace_(workplace) {}

  federated::Seconds now() const override { return now_; }
  void begin(const federated::Assign& task) override;
  void timer(const federated::SetTimer& timer) override { events_.insert({timer.at, next_++, true, timer.timer}); }
  void release(federated::TaskId task) override;
  /// Kind::unreachable when a node is gone: virtual time cannot go on without the replies that its profiles promise.
  federated::Event wait() override;
  bool real() const override { return false; }
  bool more() const override { return !events_.empty() && events_.begin()->at == now_; }
  std::map<federated::TaskId, federated::Due> due() const override;
  void resume(federated::Seconds now, const std::map<federated::TaskId, federated::Due>& due) override;

 private:
  /// Ties in the order of creation.
  struct Moment {
    federated::Seconds at = 0;
    std::int64_t number = 0;
    bool timer = false;
    std::int64_t id = 0;
    bool operator<(const Moment& other) const { return std::tie(at, number) < std::tie(other.at, other.number); }
  };
  struct Task {
    Moment end;
    bool fails = false;
  };

  const Devices& devices_;
  federated::LocalOptions local_;
  Count count_;
  federated::Workplace& workplace_;
  federated::Seconds now_ = 0;
  std::int64_t next_ = 0;
  std::set<Moment> events_;
  std::unordered_map<federated::TaskId, Task> tasks_;
  std::map<federated::TaskId, federated::Due> resumed_;
};

}  // namespace starling::sim
