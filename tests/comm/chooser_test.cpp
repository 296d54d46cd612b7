// The chooser: all ranks agree, every candidate is reported, and without links between workers only algorithms
// that need none are left.
#include "comm/chooser.h"

#include <array>
#include <mutex>

#include <doctest/doctest.h>

#include "comm/link_probe.h"
#include "core/error.h"
#include "tests/comm/groups.h"
#include "tests/run_ranks.h"

namespace starling::tests {
namespace {

using comm::Clock;
using comm::Deadline;

/// A group in which workers cannot reach each other.
class NoPeerLinks final : public Transport {
 public:
  explicit NoPeerLinks(Transport& inner) : inner_(inner) {}
  Rank rank() const override { return inner_.rank(); }
  Rank size() const override { return inner_.size(); }
  std::string name(Rank peer) const override { return inner_.name(peer); }
  void send(Rank to, comm::Kind kind, core::Bytes payload, Deadline deadline) override {
    need_link(to);
    inner_.send(to, kind, payload, deadline);
  }
  comm::Incoming next(Rank from, Deadline deadline) override {
    need_link(from);
    return inner_.next(from, deadline);
  }
  void read(Rank from, std::span<std::byte> into, Deadline deadline) override { inner_.read(from, into, deadline); }
  Rank wait_any(std::span<const Rank> among, Deadline deadline) override { return inner_.wait_any(among, deadline); }
  void send_heartbeats() override { inner_.send_heartbeats(); }
  comm::Counters counters(Rank peer) const override { return inner_.counters(peer); }

 private:
  void need_link(Rank peer) const {
    core::check(peer == 0 || rank() == 0, core::Kind::unreachable, "{}: no link", name(peer));
  }
  Transport& inner_;
};

comm::ChooserOptions quick() {
  comm::ChooserOptions options;
  options.trial_budget_s = 0.01;
  options.deadline = comm::after(std::chrono::seconds(60));
  return options;
}

}  // namespace

TEST_CASE("all ranks make the same choice, and rank 0 reports what it predicted and measured") {
  for (const Rank n : {2, 3, 5}) {
    std::mutex mutex;
    std::vector<std::vector<std::string>> chosen(static_cast<std::size_t>(n));
    run_ranks(n, [&](Transport& t) {
      comm::Scratch scratch;
      const std::array<std::size_t, 2> sizes{64, 4096};
      const comm::Selection selection = comm::choose(t, scratch, core::Sum::exact, sizes, quick());
      CHECK(selection.measured);
      CHECK(selection.note.empty());
      CHECK(selection.choices.size() == 2);
      for (const comm::Choice& choice : selection.choices) {
        const std::lock_guard lock(mutex);
        chosen[static_cast<std::size_t>(t.rank())].push_back(choice.algorithm);
        if (t.rank() != 0) continue;
        CHECK(choice.candidates.size() == comm::collectives().size());
        double fastest = 1e300, own = 0;
        for (const comm::Candidate& c : choice.candidates) {
          CHECK(c.predicted_us > 0);
          if (c.measured_us > 0) fastest = std::min(fastest, c.measured_us);
          if (c.name == choice.algorithm) own = c.measured_us;
        }
        CHECK(own == fastest);
        CHECK(comm::describe(selection).find(choice.algorithm + " for ") != std::string::npos);
      }
      if (t.rank() == 0) {
        CHECK(selection.link.bytes_per_s > 1e6);
        CHECK(selection.link.message_cpu_s > 0);
        CHECK(selection.link.ranks_per_core > 0);
      }
    });
    for (const auto& names : chosen) CHECK(names == chosen.front());
  }
}

TEST_CASE("without links between workers the star is chosen, and the choice says why") {
  run_ranks(4, [](Transport& inner) {
    NoPeerLinks t(inner);
    comm::Scratch scratch;
    const std::array<std::size_t, 1> sizes{256};
    const comm::Selection selection = comm::choose(t, scratch, core::Sum::fast, sizes, quick());
    CHECK(selection.choices.front().algorithm == "star");
    CHECK(selection.note.find("cannot reach each other") != std::string::npos);
    if (t.rank() == 0) CHECK(selection.choices.front().candidates.size() == 1);
    // What the choice left behind on the links must not disturb the job.
    std::vector<float> values(256, 1.0f);
    comm::collective("star").sum_fast(t, scratch, values, comm::after(std::chrono::seconds(60)));
    CHECK(values.back() == 4.0f);
  });
}

TEST_CASE("workers that TCP cannot join are left to the star") {
  SocketGroup group = listening("tcp", 3);
  comm::ConnectOptions options = connect_options();
  options.route = [](Rank from, Rank, const std::string& uri) {
    return from == 0 ? uri : std::string("tcp://127.0.0.1:1");  // nobody listens there
  };
  join(group, options);
  CHECK_FALSE(group.missing_links.empty());
  check_no_failures(run_ranks_collect(group.ranks, [](Transport& t) {
    comm::Scratch scratch;
    const std::array<std::size_t, 1> sizes{256};
    const comm::Selection selection = comm::choose(t, scratch, core::Sum::exact, sizes, quick());
    CHECK(selection.choices.front().algorithm == "star");
    CHECK(selection.note.find("cannot reach each other") != std::string::npos);
  }));
}

TEST_CASE("a named algorithm is taken as it is, and one rank needs no measurement") {
  run_ranks(2, [](Transport& t) {
    comm::Scratch scratch;
    const std::array<std::size_t, 2> sizes{64, 4096};
    const comm::Selection selection = comm::select(t, scratch, "ring", core::Sum::exact, sizes);
    CHECK_FALSE(selection.measured);
    for (const comm::Choice& choice : selection.choices) CHECK(choice.algorithm == "ring");
    for (Rank peer = 0; peer < 2; ++peer)
      if (peer != t.rank()) CHECK(t.counters(peer).frames_sent == 0);
  });
  run_ranks(1, [](Transport& t) {
    comm::Scratch scratch;
    const std::array<std::size_t, 1> sizes{64};
    CHECK_FALSE(comm::select(t, scratch, "auto", core::Sum::exact, sizes).measured);
  });
}

TEST_CASE("a probe command from outside its bounds is refused by the worker") {
  struct Case {
    std::uint64_t task, a, b, c;
  };
  for (const Case bad : {Case{0, 1, 1, 0}, Case{9, 1, 1, 0}, Case{1, 1u << 30, 8, 0}, Case{2, 1, std::uint64_t{1} << 40, 0},
                         Case{3, 99, 8, 1}, Case{3, 0, 1u << 30, 1}, Case{3, 0, 0, 1}, Case{3, 0, 8, 1u << 30}}) {
    auto ranks = comm::inproc_group(2);
    const Failures failures = run_ranks_collect(ranks, [&](Transport& t) {
      const Deadline deadline = comm::after(std::chrono::seconds(30));
      if (t.rank() == 0) {
        comm::take_census(t, deadline);
        comm::send_command(t, 1, {static_cast<comm::ProbeCommand::Task>(bad.task), bad.a, bad.b, bad.c}, deadline);
        std::array<std::byte, 8> answer;
        comm::receive(t, 1, comm::Kind::probe, answer, deadline);
      } else {
        comm::Scratch scratch;
        const std::array<std::size_t, 1> sizes{64};
        comm::choose(t, scratch, core::Sum::fast, sizes, quick());
      }
    });
    const std::string text = text_of(failures[1]);
    INFO(text);
    CHECK((text.find("none of 1..4") != std::string::npos || text.find("above the limits") != std::string::npos ||
           text.find("out of bounds") != std::string::npos));
  }
}

}  // namespace starling::tests
