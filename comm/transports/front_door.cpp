#include "comm/transports/front_door.h"

#include <algorithm>

namespace starling::comm {

bool FrontDoor::admit(std::unique_ptr<Pipe> pipe, std::string address) {
  const std::lock_guard lock(mutex_);
  if (closed_ || half_open_.size() >= kHalfOpenMax) return false;
  half_open_.push_back({std::move(pipe), address, HandshakeReader(address), after(kHandshakeMax)});
  return true;
}

bool FrontDoor::full() const {
  const std::lock_guard lock(mutex_);
  return half_open_.size() >= kHalfOpenMax;
}

bool FrontDoor::step() {
  const std::lock_guard lock(mutex_);
  bool came = false;
  const Clock::time_point now = Clock::now();
  for (auto one = half_open_.begin(); one != half_open_.end();) {
    const bool done = advance(*one);
    came = came || (done && !one->pipe);
    one = done || now >= one->expires ? half_open_.erase(one) : std::next(one);
  }
  return came;
}

/// True when the handshake is over; a pipe that is left then will be closed.
bool FrontDoor::advance(HalfOpen& one) {
  try {
    return one.reader.step(*one.pipe) && (receive(one), true);
  } catch (const core::Error& error) {
    // Nobody waits for this error; a Starling peer is told, others are only closed.
    if (error.kind() == core::Kind::malformed && one.reader.is_starling())
      write_short(*one.pipe, refuse_frame(error.what(), one.reader.id()));
    return true;
  }
}

/// Keeps the connection, or tells it why not.
bool FrontDoor::receive(HalfOpen& one) {
  core::check(one.reader.header().kind == Kind::hello, core::Kind::malformed, "{}: the first frame is no hello",
              one.address);
  Arrival arrival{decode_hello(one.reader.payload(), one.address), one.reader.id(), one.address, nullptr};
  core::check(one.reader.header().from == arrival.hello.rank, core::Kind::malformed,
              "{}: a hello of rank {} in a frame from rank {}", one.address, arrival.hello.rank,
              one.reader.header().from);
  const std::string why_not = refusal(arrival);
  if (!why_not.empty()) {
    write_short(*one.pipe, refuse_frame(why_not, arrival.id));
    return false;
  }
  if (arrival.hello.role == Role::peer) {
    const Hello answer{Role::node, running_->rank, arrival.hello.rank, running_->size, self_};
    if (!write_short(*one.pipe, hello_frame(answer, arrival.id))) return false;
    arrival.pipe = std::move(one.pipe);
    peers_.push_back(std::move(arrival));
  } else {
    arrival.pipe = std::move(one.pipe);  // answered when the node is ready for it
    master_ = std::move(arrival);
  }
  return true;
}

std::string FrontDoor::refusal(const Arrival& arrival) const {
  const Hello& hello = arrival.hello;
  switch (hello.role) {
    case Role::master:
      if (hello.rank != 0) return fmt::format("a master has rank 0, not {}", hello.rank);
      if (running_ || master_) return fmt::format("{}: {} serves another master", kBusy, self_.name);
      return "";
    case Role::peer: {
      if (!running_ || running_->id != arrival.id)
        return fmt::format("session {:#x} epoch {} does not run here", arrival.id.session, arrival.id.epoch);
      const bool known = std::any_of(peers_.begin(), peers_.end(),
                                     [&](const Arrival& peer) { return peer.hello.rank == hello.rank; });
      if (hello.size != running_->size || hello.your_rank != running_->rank || hello.rank <= running_->rank || known)
        return fmt::format("rank {} of {} has no business with rank {} of {} here", hello.rank, hello.size,
                           running_->rank, running_->size);
      return "";
    }
    case Role::node: break;
  }
  return "a node does not call other nodes";
}

void FrontDoor::list_half_open(std::vector<Interest>& interests) const {
  const std::lock_guard lock(mutex_);
  for (const HalfOpen& one : half_open_) interests.push_back({one.pipe.get(), true, false});
}

std::optional<Deadline> FrontDoor::next_expiry() const {
  const std::lock_guard lock(mutex_);
  if (half_open_.empty()) return std::nullopt;
  return half_open_.front().expires;  // all have the same time, so the oldest is the first
}

std::optional<Arrival> FrontDoor::take_master() {
  const std::lock_guard lock(mutex_);
  std::optional<Arrival> master = std::move(master_);
  master_.reset();
  if (master) running_ = Running{master->id, master->hello.your_rank, master->hello.size};
  return master;
}

std::optional<Arrival> FrontDoor::take_peer(Rank rank) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(peers_.begin(), peers_.end(), [&](const Arrival& peer) {
    return peer.hello.rank == static_cast<std::uint32_t>(rank);
  });
  if (found == peers_.end()) return std::nullopt;
  std::optional<Arrival> peer = std::move(*found);
  peers_.erase(found);
  return peer;
}

void FrontDoor::end() {
  const std::lock_guard lock(mutex_);
  running_.reset();
  peers_.clear();
}

void FrontDoor::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  half_open_.clear();
  master_.reset();
  peers_.clear();
}

}  // namespace starling::comm
