#include "comm/faults.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <random>

namespace starling::comm {

namespace {

using HeaderSpan = std::span<std::byte, kHeaderBytes>;

template <class T>
void add_to_field(HeaderSpan header, std::size_t offset, T difference) {
  T value;
  std::memcpy(&value, header.data() + offset, sizeof value);
  value = static_cast<T>(value + difference);
  std::memcpy(header.data() + offset, &value, sizeof value);
  seal(header);
}

class FaultyPipe final : public Pipe {
 public:
  FaultyPipe(std::unique_ptr<Pipe> inner, const FaultPlan& plan)
      : inner_(std::move(inner)), plan_(plan), random_(plan.seed) {}

  std::optional<std::size_t> write(core::Bytes head, core::Bytes body) override {
    const std::lock_guard lock(mutex_);
    if (!inner_) return std::nullopt;
    if (!flush()) return 0;
    frame_.insert(frame_.end(), head.begin(), head.end());
    frame_.insert(frame_.end(), body.begin(), body.end());
    while (inner_ && frame_is_whole()) pass_frame();
    flush();
    return head.size() + body.size();
  }

  std::optional<std::size_t> read(std::span<std::byte> into) override {
    const std::lock_guard lock(mutex_);
    if (!inner_) return std::nullopt;
    flush();
    return inner_->read(into);
  }

  Pipe* native() override { return inner_ ? inner_->native() : nullptr; }

 private:
  std::size_t frame_bytes() const {
    std::uint64_t length = 0;
    std::memcpy(&length, frame_.data() + 32, sizeof length);
    return kHeaderBytes + length;
  }
  bool frame_is_whole() const { return frame_.size() >= kHeaderBytes && frame_.size() >= frame_bytes(); }

  /// Moves the first frame to out_, spoiled if it is its turn.
  void pass_frame() {
    const auto size = static_cast<std::ptrdiff_t>(frame_bytes());
    std::vector<std::byte> frame(frame_.begin(), frame_.begin() + size);
    frame_.erase(frame_.begin(), frame_.begin() + size);
    std::uint16_t kind = 0;
    std::memcpy(&kind, frame.data() + 6, sizeof kind);
    const bool heartbeat = kind == static_cast<std::uint16_t>(Kind::heartbeat);
    if (silent_) return;
    if (!heartbeat && count_++ == plan_.at_frame) spoil(frame);
    if (!silent_) out_.insert(out_.end(), frame.begin(), frame.end());
    if (dying_ && flush()) inner_.reset();
  }

  void flip(std::size_t begin, std::size_t end, std::vector<std::byte>& frame) {
    const std::size_t bit = std::uniform_int_distribution<std::size_t>(8 * begin, 8 * end - 1)(random_);
    frame[bit / 8] ^= std::byte(1u << (bit % 8));
  }

  void spoil(std::vector<std::byte>& frame) {
    const HeaderSpan header(frame.data(), kHeaderBytes);
    switch (plan_.fault) {
      case Fault::dead:
        frame.clear();
        dying_ = true;
        break;
      case Fault::silent: silent_ = true; break;
      case Fault::cut_short:
        frame.resize(frame.size() - 1);
        dying_ = true;
        break;
      case Fault::garbage:
        std::generate(frame.begin(), frame.end(), [&] { return std::byte(random_()); });
        break;
      case Fault::flip_header: flip(0, kHeaderBytes, frame); break;
      case Fault::flip_payload: flip(kHeaderBytes, frame.size(), frame); break;
      case Fault::duplicate: out_.insert(out_.end(), frame.begin(), frame.end()); break;
      case Fault::drop: frame.clear(); break;
      case Fault::wrong_version: add_to_field<std::uint16_t>(header, 4, 1); break;
      case Fault::wrong_session: add_to_field<std::uint64_t>(header, 8, 1); break;
      case Fault::old_epoch: add_to_field<std::uint32_t>(header, 16, static_cast<std::uint32_t>(-1)); break;
      case Fault::wrong_sender: add_to_field<std::uint32_t>(header, 20, 1); break;
      case Fault::oversize:
        std::memset(frame.data() + 32, 0xff, 8);
        seal(header);
        break;
      case Fault::delay: not_before_ = after(plan_.delay); break;
    }
  }

  /// True when nothing waits any more.
  bool flush() {
    if (Clock::now() < not_before_) return false;
    while (inner_ && sent_ < out_.size()) {
      const auto taken = inner_->write(core::Bytes(out_).subspan(sent_), {});
      if (!taken) inner_.reset();
      if (!taken || *taken == 0) return false;
      sent_ += *taken;
    }
    out_.clear();
    sent_ = 0;
    return true;
  }

  std::mutex mutex_;  // heartbeats of another thread write too, and reading flushes
  std::unique_ptr<Pipe> inner_;
  FaultPlan plan_;
  std::mt19937_64 random_;
  std::vector<std::byte> frame_;  // given to write(), not yet a whole frame
  std::vector<std::byte> out_;    // on its way, out_[0, sent_) already gone
  std::size_t sent_ = 0;
  std::uint64_t count_ = 0;
  bool silent_ = false, dying_ = false;
  Clock::time_point not_before_ = Clock::time_point::min();
};

}  // namespace

std::unique_ptr<Pipe> faulty(std::unique_ptr<Pipe> inner, const FaultPlan& plan) {
  return std::make_unique<FaultyPipe>(std::move(inner), plan);
}

}  // namespace starling::comm
