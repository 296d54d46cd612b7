#include "partition/schedule.h"

#include <algorithm>

#include "core/error.h"

namespace starling::partition {

using core::ensure;
using core::TokenId;

namespace {

constexpr std::size_t kCopyMin = 16;  // a shorter beginning is not worth the copy

std::size_t common(std::span<const TokenId> a, std::span<const TokenId> b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

Schedule::Schedule(const ScheduleOptions& options) : options_(options), slots_(static_cast<std::size_t>(options.sequences)) {
  ensure(options.sequences > 0 && options.positions > 0, "a schedule without slots");
  ensure(options.rows >= options.sequences, "a step has a row for every sequence");
  for (Slot& slot : slots_) slot.tokens.reserve(static_cast<std::size_t>(options.positions) + 1);
  running_.reserve(slots_.size());
  turns_.reserve(slots_.size());
}

void Schedule::arrive(SequenceId id, std::vector<TokenId> prompt, bool whole) {
  ensure(id != 0 && !prompt.empty() && static_cast<std::int64_t>(prompt.size()) <= options_.positions, "a prompt that fits no slot");
  waiting_.push_back({id, std::move(prompt), whole});
}

std::span<const Turn> Schedule::plan() {
  ensure(turns_.empty(), "a step is planned already");
  ++events_;
  std::int64_t left = options_.rows;
  for (const bool writing : {true, false})
    for (const std::size_t index : running_) {
      const Slot& slot = slots_[index];
      if ((slot.computed >= slot.prompt) != writing) continue;
      const std::size_t rows = std::min(slot.tokens.size() - slot.computed, static_cast<std::size_t>(left));
      if (rows == 0) continue;
      take_turn(index, rows, false, index);
      left -= static_cast<std::int64_t>(rows);
    }
  while (left > 0 && admit(left)) left -= static_cast<std::int64_t>(turns_.back().tokens.size());
  return turns_;
}

void Schedule::take_turn(std::size_t index, std::size_t rows, bool first, std::size_t source) {
  Slot& slot = slots_[index];
  slot.used = slots_[source].used = events_;
  turns_.push_back({.id = slot.owner,
                    .slot = static_cast<std::int64_t>(index),
                    .source = static_cast<std::int64_t>(source),
                    .position = static_cast<std::int64_t>(slot.computed),
                    .tokens = std::span(slot.tokens).subspan(slot.computed, rows),
                    .first = first,
                    .last = slot.computed + rows == slot.tokens.size()});
}

/// The oldest waiting prompt gets a slot and its first rows.
bool Schedule::admit(std::int64_t left) {
  if (waiting_.empty() || running_.size() == slots_.size()) return false;
  Waiting& next = waiting_.front();
  if (is_being_computed(next)) return false;
  const Place at = place(next);
  Slot& slot = slots_[at.slot];
  slot.owner = next.id;
  slot.tokens.assign(next.prompt.begin(), next.prompt.end());
  slot.computed = at.found;
  slot.prompt = next.prompt.size();
  running_.push_back(at.slot);
  waiting_.pop_front();
  take_turn(at.slot, std::min(slot.tokens.size() - slot.computed, static_cast<std::size_t>(left)), true, at.source);
  return true;
}

/// A prompt waits while an older one, which has its rows in every step, computes more of what both begin with.
bool Schedule::is_being_computed(const Waiting& next) const {
  if (!options_.reuse_prefixes || next.whole) return false;
  std::size_t found = 0, coming = 0;
  for (const Slot& slot : slots_) {
    found = std::max(found, common(next.prompt, std::span(slot.tokens).first(slot.computed)));
    if (slot.owner != 0 && slot.computed < slot.prompt) coming = std::max(coming, common(next.prompt, slot.tokens));
  }
  return coming >= found + kCopyMin && coming >= kCopyMin;
}

Schedule::Place Schedule::place(const Waiting& next) const {
  std::size_t oldest = slots_.size(), best = slots_.size(), found = 0;
  // The last token is always computed: its logits are needed.
  const std::span<const TokenId> prompt = std::span(next.prompt).first(next.prompt.size() - 1);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const bool free = slots_[i].owner == 0;
    if (free && (oldest == slots_.size() || slots_[i].used < slots_[oldest].used)) oldest = i;
    if (!options_.reuse_prefixes || next.whole) continue;
    const std::size_t shared = common(prompt, std::span(slots_[i].tokens).first(slots_[i].computed));
    if (shared > found || (shared > 0 && shared == found && free && slots_[best].owner != 0)) best = i, found = shared;
  }
  if (found == 0) return {oldest, oldest, 0};
  // In place where that forgets less than it keeps; else the other sequence's tokens stay for those who come back to it.
  if (best == oldest || (slots_[best].owner == 0 && 2 * found >= slots_[best].computed)) return {best, best, found};
  if (found < kCopyMin) return {oldest, oldest, 0};
  return {oldest, best, found};
}

void Schedule::computed() {
  for (const Turn& turn : turns_) slots_[static_cast<std::size_t>(turn.slot)].computed += turn.tokens.size();
  turns_.clear();
}

void Schedule::abandoned() {
  for (const Turn& turn : turns_) {
    const auto index = static_cast<std::size_t>(turn.slot);
    if (turn.source != turn.slot) slots_[index].computed = 0;  // the copy may not have been made
    release(index);
  }
  turns_.clear();
}

bool Schedule::append(SequenceId id, TokenId token) {
  const std::size_t index = slot_of(id);
  ensure(index < slots_.size(), "a token for a sequence that does not run");
  Slot& slot = slots_[index];
  ensure(slot.computed == slot.tokens.size(), "a token for a sequence that still computes");
  if (slot.computed == static_cast<std::size_t>(options_.positions)) {
    release(index);
    return false;
  }
  slot.tokens.push_back(token);
  return true;
}

bool Schedule::end(SequenceId id) {
  ensure(turns_.empty(), "a sequence ends between steps");
  if (const std::size_t index = slot_of(id); index < slots_.size()) {
    release(index);
    return true;
  }
  return std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.id == id; }) > 0;
}

std::size_t Schedule::slot_of(SequenceId id) const {
  return static_cast<std::size_t>(std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.owner == id; }) -
                                  slots_.begin());
}

void Schedule::release(std::size_t index) {
  Slot& slot = slots_[index];
  slot.owner = 0;
  slot.tokens.resize(slot.computed);
  slot.used = ++events_;
  std::erase(running_, index);
}

std::int64_t Schedule::positions_used() const {
  std::int64_t used = 0;
  for (const Slot& slot : slots_) used += static_cast<std::int64_t>(slot.computed);
  return used;
}

}  // namespace starling::partition
