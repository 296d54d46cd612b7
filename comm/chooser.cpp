// Links, formulas, shortlist, trial, choice (see chooser.h).
#include "comm/chooser.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "comm/link_probe.h"

namespace starling::comm {
namespace {

using core::Sum;
using Task = ProbeCommand::Task;
constexpr std::size_t kSizesMax = 64;
constexpr std::uint64_t kCallsMax = 400;  // of one block of a trial
constexpr int kBlocks = 8;                // of every candidate, taking turns, so that a disturbance hits all alike
constexpr int kBlocksMin = 2;             // where the link is slow

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Buffers and clocks of a rank's part in a trial.
class Trial {
 public:
  Trial(Transport& transport, Scratch& scratch, Sum sum, std::size_t elements_max, Deadline deadline)
      : transport_(transport), scratch_(scratch), sum_(sum), deadline_(deadline), total_(elements_max) {
    if (sum == Sum::exact) parts_.resize(elements_max);
  }

  /// The seconds of one of `calls` calls on this rank: the median over groups of them.
  double run(const Collective& algorithm, std::size_t elements, std::uint64_t calls) {
    std::vector<double> seconds;
    const auto call = [&] {
      const std::span<float> total = std::span(total_).first(elements);
      if (sum_ == Sum::exact)
        algorithm.sum_exact(transport_, scratch_, std::span(parts_).first(elements), total, deadline_);
      else
        algorithm.sum_fast(transport_, scratch_, total, deadline_);
    };
    barrier(transport_, deadline_);
    call();
    while (calls > 0) {
      const std::uint64_t group = std::min<std::uint64_t>(calls, kTimedTogether);
      const auto begin = Clock::now();
      for (std::uint64_t i = 0; i < group; ++i) call();
      seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count() / static_cast<double>(group));
      calls -= group;
    }
    return median(std::move(seconds));
  }

 private:
  Transport& transport_;
  Scratch& scratch_;
  Sum sum_;
  Deadline deadline_;
  std::vector<double> parts_;  // zeros: their sums stay what they are
  std::vector<float> total_;
};

/// Rank 0's view of a trial: tells all ranks, takes part, returns the slowest rank's median.
double run_everywhere(Transport& transport, Trial& trial, std::size_t index, std::size_t elements, std::uint64_t calls,
                      Deadline deadline) {
  for (Rank rank = 1; rank < transport.size(); ++rank)
    send_command(transport, rank, {Task::trial, index, elements, calls}, deadline);
  double slowest = trial.run(collectives()[index], elements, calls);
  for (Rank rank = 1; rank < transport.size(); ++rank) {
    double theirs = 0;
    receive(transport, rank, Kind::probe, std::as_writable_bytes(std::span(&theirs, 1)), deadline);
    slowest = std::max(slowest, theirs);
  }
  return slowest;
}

struct Runner {
  std::size_t index = 0;    // in the table
  double expected_s = 0;    // of a call: predicted, then as it went
  std::vector<double> blocks;
};

Choice choose_for(Transport& transport, Trial& trial, std::size_t elements, Sum sum, const LinkCost& link, bool all_linked,
                  const ChooserOptions& options) {
  const Payload payload = Payload::of(elements, sum);
  Choice choice;
  choice.elements = elements;
  std::vector<Runner> runners;
  double best = HUGE_VAL;
  for (std::size_t i = 0; i < collectives().size(); ++i) {
    const Collective& c = collectives()[i];
    if (c.needs_peer_links && !all_linked) continue;
    runners.push_back({i, cost(c, link, transport.size(), payload), {}});
    best = std::min(best, runners.back().expected_s);
    choice.candidates.push_back({std::string(c.name), runners.back().expected_s * 1e6, 0});
  }
  std::erase_if(runners, [&](const Runner& r) {
    return r.expected_s > best * options.shortlist_factor && r.expected_s > options.trial_cheap_s;
  });
  core::ensure(!runners.empty(), "no all-reduce algorithm works without links between workers");

  const double share = options.trial_budget_s / static_cast<double>(runners.size()) / kBlocks;
  const auto start = Clock::now();
  for (int block = -1; block < kBlocks; ++block) {  // the first one warms up and corrects the expectation
    const double used = std::chrono::duration<double>(Clock::now() - start).count();
    if (block >= kBlocksMin && used > 2 * options.trial_budget_s) break;
    for (Runner& r : runners) {
      const double wanted = block < 0 ? 2 : share / std::max(r.expected_s, 1e-6);
      auto calls = static_cast<std::uint64_t>(std::clamp(wanted, 2.0, static_cast<double>(kCallsMax)));
      calls -= calls % (calls > kTimedTogether ? kTimedTogether : 2);
      const auto begin = Clock::now();
      const double seconds = run_everywhere(transport, trial, r.index, elements, calls, options.deadline);
      // The mean, not the median: on a busy machine a few calls take most of the time.
      r.expected_s = std::chrono::duration<double>(Clock::now() - begin).count() / static_cast<double>(calls + 1);
      if (block >= 0) r.blocks.push_back(seconds);
    }
  }
  double fastest = HUGE_VAL;
  for (const Runner& r : runners) {
    const double seconds = *std::min_element(r.blocks.begin(), r.blocks.end());  // the least disturbed
    const std::string name(collectives()[r.index].name);
    std::find_if(choice.candidates.begin(), choice.candidates.end(), [&](const Candidate& c) { return c.name == name; })
        ->measured_us = seconds * 1e6;
    if (seconds < fastest) {
      fastest = seconds;
      choice.algorithm = name;
    }
  }
  return choice;
}

std::uint64_t index_of(std::string_view name) {
  const std::span<const Collective> table = collectives();
  return static_cast<std::uint64_t>(std::find_if(table.begin(), table.end(), [&](const Collective& c) { return c.name == name; }) -
                                    table.begin());
}

/// Rank 0's half after the census.
void lead(Transport& transport, Scratch& scratch, Trial& trial, Sum sum, std::span<const std::size_t> elements,
          const ChooserOptions& options, const Census& census, Selection& selection) {
  selection.link = measure_links(transport, scratch, options.deadline);
  selection.link.ranks_per_core = census.ranks_per_core;
  std::vector<std::uint64_t> chosen;
  for (const std::size_t count : elements) {
    selection.choices.push_back(
        choose_for(transport, trial, count, sum, selection.link, census.all_linked, options));
    chosen.push_back(index_of(selection.choices.back().algorithm));
  }
  for (Rank rank = 1; rank < transport.size(); ++rank) {
    send_command(transport, rank, {Task::done, chosen.size(), 0, 0}, options.deadline);
    transport.send(rank, Kind::probe, std::as_bytes(std::span(chosen)), options.deadline);
  }
}

/// A worker's half: serves until rank 0 has decided.
void follow(Transport& transport, Scratch& scratch, Trial& trial, std::span<const std::size_t> elements,
            const ChooserOptions& options, Selection& selection) {
  const std::size_t elements_max = *std::max_element(elements.begin(), elements.end());
  while (true) {
    const ProbeCommand command = receive_command(transport, options.deadline);
    if (command.task == Task::done) break;
    if (command.task != Task::trial) {
      serve_link(transport, scratch, command, options.deadline);
      continue;
    }
    core::check(command.a < collectives().size() && command.b >= 1 && command.b <= elements_max && command.c >= 1 &&
                    command.c <= kCallsMax,
                core::Kind::malformed, "{}: a trial of algorithm {} with {} elements and {} calls is out of bounds",
                transport.name(0), command.a, command.b, command.c);
    const double seconds = trial.run(collectives()[command.a], command.b, command.c);
    transport.send(0, Kind::probe, std::as_bytes(std::span(&seconds, 1)), options.deadline);
  }
  std::vector<std::uint64_t> chosen(elements.size());
  receive(transport, 0, Kind::probe, std::as_writable_bytes(std::span(chosen)), options.deadline);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    core::check(chosen[i] < collectives().size(), core::Kind::malformed, "{}: chose algorithm {} of {}", transport.name(0),
                chosen[i], collectives().size());
    selection.choices.push_back({elements[i], std::string(collectives()[chosen[i]].name), {}});
  }
}

Selection fixed(std::string_view algorithm, std::span<const std::size_t> elements) {
  Selection selection;
  for (const std::size_t count : elements) selection.choices.push_back({count, std::string(algorithm), {}});
  return selection;
}

}  // namespace

Selection choose(Transport& transport, Scratch& scratch, Sum sum, std::span<const std::size_t> elements,
                 const ChooserOptions& options) {
  core::ensure(!elements.empty() && elements.size() <= kSizesMax, "the chooser needs 1 to 64 sizes");
  core::ensure(*std::min_element(elements.begin(), elements.end()) > 0, "the chooser needs sizes of at least one element");
  if (transport.size() == 1) return fixed(collectives().front().name, elements);
  Selection selection;
  selection.measured = true;
  const Census census = take_census(transport, options.deadline);
  if (!census.all_linked)
    selection.note = fmt::format("{} and {} cannot reach each other, so only algorithms without links between workers are used",
                                 transport.name(census.from), transport.name(census.to));
  Trial trial(transport, scratch, sum, *std::max_element(elements.begin(), elements.end()), options.deadline);
  if (transport.rank() == 0)
    lead(transport, scratch, trial, sum, elements, options, census, selection);
  else
    follow(transport, scratch, trial, elements, options, selection);
  return selection;
}

Selection select(Transport& transport, Scratch& scratch, std::string_view algorithm, Sum sum,
                 std::span<const std::size_t> elements) {
  if (algorithm == "auto") return choose(transport, scratch, sum, elements);
  return fixed(collective(algorithm).name, elements);
}

std::string describe(const Selection& selection) {
  std::string text;
  for (const Choice& choice : selection.choices) {
    text += fmt::format("{}{} for {} values", text.empty() ? "" : "; ", choice.algorithm, choice.elements);
    for (const Candidate& c : choice.candidates)
      if (c.name == choice.algorithm)
        text += fmt::format(" (predicted {:.0f} us, measured {:.0f} us)", c.predicted_us, c.measured_us);
  }
  if (!selection.note.empty()) text += fmt::format(". {}", selection.note);
  return text;
}

}  // namespace starling::comm
