// Ranks as threads of one process: two rings of bytes for each pair, without locks, and one bell for each rank.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "comm/connect.h"
#include "comm/transports/piped.h"

namespace starling::comm {

namespace {

/// Wakes the sleeping owner of one rank. Ringing costs one load when nobody sleeps.
class Bell {
 public:
  void ring() {
    if (!asleep_.load()) return;
    const std::lock_guard lock(mutex_);
    condition_.notify_one();
  }
  template <class Ready>
  void sleep(Deadline until, Ready ready) {
    std::unique_lock lock(mutex_);
    asleep_.store(true);
    condition_.wait_until(lock, until, ready);
    asleep_.store(false);
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  std::atomic<bool> asleep_{false};
};

/// Bytes from one thread to another. Positions only grow; their difference is what the ring holds.
class Ring {
 public:
  static constexpr std::size_t kBytes = std::size_t{1} << 18;

  std::size_t write(core::Bytes from) {
    const std::uint64_t end = end_.load(std::memory_order_relaxed);
    const std::size_t count = std::min<std::size_t>(from.size(), kBytes - (end - begin_.load()));
    const std::size_t at = end % kBytes;
    const std::size_t first = std::min(count, kBytes - at);
    if (count == 0) return 0;
    std::memcpy(memory_.get() + at, from.data(), first);
    std::memcpy(memory_.get(), from.data() + first, count - first);
    end_.store(end + count);
    return count;
  }
  std::size_t read(std::span<std::byte> into) {
    const std::uint64_t begin = begin_.load(std::memory_order_relaxed);
    const std::size_t count = std::min<std::size_t>(into.size(), end_.load() - begin);
    const std::size_t at = begin % kBytes;
    const std::size_t first = std::min(count, kBytes - at);
    if (count == 0) return 0;
    std::memcpy(into.data(), memory_.get() + at, first);
    std::memcpy(into.data() + first, memory_.get(), count - first);
    begin_.store(begin + count);
    return count;
  }
  bool empty() const { return begin_.load() == end_.load(); }
  bool full() const { return end_.load() - begin_.load() == kBytes; }
  bool closed() const { return closed_.load(); }
  void close() { closed_.store(true); }

 private:
  std::unique_ptr<std::byte[]> memory_{new std::byte[kBytes]};
  alignas(64) std::atomic<std::uint64_t> begin_{0};
  alignas(64) std::atomic<std::uint64_t> end_{0};
  std::atomic<bool> closed_{false};
};

class InprocPipe final : public Pipe {
 public:
  InprocPipe(std::shared_ptr<Ring> out, std::shared_ptr<Ring> in, std::shared_ptr<Bell> peer)
      : out_(std::move(out)), in_(std::move(in)), peer_(std::move(peer)) {}
  ~InprocPipe() override {
    out_->close();
    in_->close();
    peer_->ring();
  }

  std::optional<std::size_t> write(core::Bytes head, core::Bytes body) override {
    if (out_->closed()) return std::nullopt;
    std::size_t count = out_->write(head);
    if (count == head.size()) count += out_->write(body);
    if (count > 0) peer_->ring();
    return count;
  }

  std::optional<std::size_t> read(std::span<std::byte> into) override {
    const bool closed = in_->closed();  // before the look into the ring: what came before the end is not lost
    const std::size_t count = in_->read(into);
    if (count == 0 && closed) return std::nullopt;
    if (count > 0) peer_->ring();
    return count;
  }

  bool met(const Interest& interest) const {
    return in_->closed() || (interest.read && !in_->empty()) || (interest.write && !out_->full());
  }

 private:
  std::shared_ptr<Ring> out_, in_;
  std::shared_ptr<Bell> peer_;
};

class InprocSleeper final : public Sleeper {
 public:
  explicit InprocSleeper(std::shared_ptr<Bell> own) : own_(std::move(own)) {}
  void sleep(std::span<const Interest> interests, Deadline until) override {
    own_->sleep(until, [&] {
      return std::any_of(interests.begin(), interests.end(), [](const Interest& interest) {
        const auto* pipe = static_cast<const InprocPipe*>(interest.pipe->native());
        return !pipe || pipe->met(interest);
      });
    });
  }

 private:
  std::shared_ptr<Bell> own_;
};

}  // namespace

std::vector<std::unique_ptr<Transport>> inproc_group(Rank size, const Limits& limits) {
  core::check(size >= 1, core::Kind::usage, "a group of {} ranks", size);
  const auto count = static_cast<std::size_t>(size);
  std::vector<std::string> names;
  std::vector<std::shared_ptr<Bell>> bells;
  std::vector<std::unique_ptr<PipedTransport>> ranks;
  for (std::size_t i = 0; i < count; ++i) {
    names.push_back(fmt::format("rank {} (in this process)", i));
    bells.push_back(std::make_shared<Bell>());
  }
  for (std::size_t i = 0; i < count; ++i)
    ranks.push_back(std::make_unique<PipedTransport>(static_cast<Rank>(i), names, limits, wait_policy(size),
                                                     std::make_unique<InprocSleeper>(bells[i])));
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const auto up = std::make_shared<Ring>();
      const auto down = std::make_shared<Ring>();
      ranks[a]->add(static_cast<Rank>(b), {}, std::make_unique<InprocPipe>(up, down, bells[b]));
      ranks[b]->add(static_cast<Rank>(a), {}, std::make_unique<InprocPipe>(down, up, bells[a]));
    }
  }
  return {std::make_move_iterator(ranks.begin()), std::make_move_iterator(ranks.end())};
}

}  // namespace starling::comm
