// Our TCP all-reduce and MPI_Allreduce in the same processes, in turns: the program starts itself under mpirun,
// every rank binds itself to a core, builds our mesh on the loopback interface beside MPI_COMM_WORLD, and both
// sides reduce the same numbers.
#include "tools/bench/collectives.h"
#include "tools/bench/median.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "comm/connect.h"
#include "comm/heartbeat.h"
#include "core/error.h"
#include "tools/command.h"
#include "tools/measure.h"
#include "tools/process.h"

#ifdef STARLING_MPI
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>
#endif

namespace starling::tools::bench {

using core::Kind;

#ifdef STARLING_MPI
namespace {

constexpr auto kMpiCallLimit = std::chrono::seconds(30);  // our deadline for one all-reduce
constexpr std::size_t kUriBytes = 256;

/// Rank i on core i modulo the cores there are, for both sides.
void bind_to_core(int rank) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  core::check(::sched_getaffinity(0, sizeof(allowed), &allowed) == 0, Kind::unsupported, "cannot read the affinity mask: {}",
              core::last_error);
  int skip = rank % CPU_COUNT(&allowed);
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed) || skip-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    core::check(::sched_setaffinity(0, sizeof(one), &one) == 0, Kind::unsupported, "cannot bind to core {}: {}", core,
                core::last_error);
    return;
  }
}

/// Our mesh of the ranks of MPI_COMM_WORLD; MPI only carries the addresses.
std::unique_ptr<comm::Transport> build_mesh(int rank, int size) {
  comm::ConnectOptions options;
  options.self.name = fmt::format("rank-{}", rank);
  options.session = static_cast<std::uint64_t>(::getppid());
  options.deadline = comm::after(std::chrono::seconds(20));
  // While MPI's side runs, its spinning ranks can starve a heartbeat on a busy machine.
  options.limits.silence_max = kMpiCallLimit;
  std::unique_ptr<comm::Listener> listener;
  std::array<char, kUriBytes> mine{};
  if (rank > 0) {
    listener = comm::listen("tcp://127.0.0.1:0", options.self, options.limits);
    const std::string uri = listener->uri();
    core::ensure(uri.size() < kUriBytes, "the address of a listener is longer than its place");
    std::copy(uri.begin(), uri.end(), mine.begin());
  }
  std::vector<char> all(kUriBytes * static_cast<std::size_t>(size));
  MPI_Gather(mine.data(), kUriBytes, MPI_CHAR, all.data(), kUriBytes, MPI_CHAR, 0, MPI_COMM_WORLD);
  if (rank > 0) return listener->accept(options.deadline);
  std::vector<std::string> uris;
  for (int r = 1; r < size; ++r) uris.emplace_back(all.data() + kUriBytes * static_cast<std::size_t>(r));
  comm::Connected connected = comm::connect(uris, options);
  core::check(connected.missing_links.empty(), Kind::unreachable, "{}", connected.missing_links);
  return std::move(connected.transport);
}

/// Everything that one rank measures with.
class MpiBench {
 public:
  MpiBench(comm::Transport& transport, const CollectivesOptions& options) : transport_(transport), options_(options) {}

  nlohmann::json measure(std::uint64_t bytes) {
    const std::size_t elements = bytes / sizeof(float);
    const std::array sizes{elements};
    const comm::Choice fast = comm::choose(transport_, scratch_, core::Sum::fast, sizes).choices.front();
    const comm::Choice exact = comm::choose(transport_, scratch_, core::Sum::exact, sizes).choices.front();
    prepare(elements);
    const comm::Collective& by_fast = comm::collective(fast.algorithm);
    const comm::Collective& by_exact = comm::collective(exact.algorithm);
    const auto ours_fast = [&] {
      std::copy(input_.begin(), input_.end(), total_.begin());
      by_fast.sum_fast(transport_, scratch_, total_, comm::after(kMpiCallLimit));
    };
    const auto ours_exact = [&] {
      std::copy(input_.begin(), input_.end(), parts_.begin());
      by_exact.sum_exact(transport_, scratch_, parts_, total_, comm::after(kMpiCallLimit));
    };
    const auto theirs = [&] {
      MPI_Allreduce(input_.data(), total_.data(), static_cast<int>(elements), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    };
    std::array<std::vector<Times>, 3> sides;
    for (int block = 0; block < options_.blocks; ++block) {
      sides[0].push_back(run_block(block, ours_fast, "our fast sum"));
      sides[1].push_back(run_block(block, theirs, "MPI_Allreduce"));
      sides[2].push_back(run_block(block, ours_exact, "our exact sum"));
    }
    nlohmann::json row{{"ranks", transport_.size()}, {"bytes", bytes}, {"fast", side(sides[0])}, {"mpi", side(sides[1])}, {"exact", side(sides[2])}};
    const double mpi = row["mpi"]["median_us"].get<double>();
    row["fast"]["algorithm"] = fast.algorithm;
    row["fast"]["choice"] = to_json(fast);
    row["exact"]["algorithm"] = exact.algorithm;
    row["exact"]["choice"] = to_json(exact);
    row["ratio"] = row["fast"]["median_us"].get<double>() / mpi;
    row["exact"]["ratio"] = row["exact"]["median_us"].get<double>() / mpi;
    return row;
  }

 private:
  void prepare(std::size_t elements) {
    input_.resize(elements);
    total_.resize(elements);
    parts_.resize(elements);
  }

  /// Small integers, different in every block: their sum is exact on every side.
  float value(int rank, int block, std::size_t i) const {
    return static_cast<float>((i * 7 + static_cast<std::size_t>(rank) * 13 + static_cast<std::size_t>(block) * 5) % 1009);
  }

  template <class Call>
  Times run_block(int block, Call call, const char* what) {
    for (std::size_t i = 0; i < input_.size(); ++i) input_[i] = value(transport_.rank(), block, i);
    std::fill(total_.begin(), total_.end(), -1.0f);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < options_.warmup; ++i) call();
    std::vector<float> us(static_cast<std::size_t>(options_.calls));
    for (float& t : us) {
      const auto begin = comm::Clock::now();
      call();
      t = std::chrono::duration<float, std::micro>(comm::Clock::now() - begin).count();
    }
    for (std::size_t i = 0; i < total_.size(); ++i) {
      float wanted = 0;
      for (int rank = 0; rank < transport_.size(); ++rank) wanted += value(rank, block, i);
      core::check(total_[i] == wanted, Kind::internal, "{}: element {} of block {} is {} instead of {}", what, i, block,
                  total_[i], wanted);
    }
    std::vector<float> slowest(us.size());
    MPI_Allreduce(us.data(), slowest.data(), options_.calls, MPI_FLOAT, MPI_MAX, MPI_COMM_WORLD);
    return summarise(std::move(slowest));
  }

  static nlohmann::json side(const std::vector<Times>& blocks) {
    std::vector<double> medians, p99s;
    for (const Times& t : blocks) {
      medians.push_back(t.median_us);
      p99s.push_back(t.p99_us);
    }
    const auto [least, most] = std::minmax_element(medians.begin(), medians.end());
    return {{"median_us", median_of(medians)}, {"least_us", *least}, {"most_us", *most}, {"p99_us", median_of(p99s)}};
  }

  comm::Transport& transport_;
  const CollectivesOptions& options_;
  comm::Scratch scratch_;
  std::vector<float> input_, total_;
  std::vector<double> parts_;
};

std::vector<std::string> mpi_command(const CollectivesOptions& options, int ranks, const std::string& mpirun, const std::string& results) {
  std::vector<std::string> command{mpirun, "-n", std::to_string(ranks), "--oversubscribe", "--bind-to", "none",
                                   "--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", "lo"};
  if (::geteuid() == 0) command.push_back("--allow-run-as-root");
  std::string sizes;
  for (const std::uint64_t bytes : options.sizes) sizes += fmt::format("{}{}", sizes.empty() ? "" : ",", bytes);
  for (const std::string& word : {std::filesystem::read_symlink(kOwnProgram).string(), std::string("bench"), std::string("collectives"),
                                  std::string("--results"), results, std::string("--sizes"), sizes, std::string("--calls"),
                                  std::to_string(options.calls), std::string("--blocks"), std::to_string(options.blocks)})
    command.push_back(word);
  return command;
}

int run_mpi(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  core::check(child >= 0, Kind::overloaded, "cannot start {}: {}", command.front(), core::last_error);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    ::execv(words.front(), words.data());
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

nlohmann::json compare_with_mpi(const CollectivesOptions& options) {
  const std::string mpirun = find_program("mpirun");
  core::check(!mpirun.empty(), Kind::missing, "mpirun is not in PATH (Debian package openmpi-bin)");
  nlohmann::json rows = nlohmann::json::array();
  for (const int ranks : options.ranks) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() / fmt::format("starling-collectives-{}.json", ::getpid());
    const int status = run_mpi(mpi_command(options, ranks, mpirun, file.string()));
    std::ifstream in(file);
    const nlohmann::json found = nlohmann::json::parse(in, nullptr, false);
    in.close();
    std::filesystem::remove(file);
    core::check(status == 0 && found.is_array(), Kind::refused, "mpirun with {} ranks ended with status {}", ranks, status);
    rows.insert(rows.end(), found.begin(), found.end());
  }
  return rows;
}

int run_mpi_rank(const CollectivesOptions& options) {
  end_with_parent();
  MPI_Init(nullptr, nullptr);
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  bind_to_core(rank);
  const std::unique_ptr<comm::Transport> transport = build_mesh(rank, size);
  nlohmann::json rows = nlohmann::json::array();
  {
    comm::Heartbeat heartbeat(*transport, comm::Limits{}.heartbeat_every);
    MpiBench bench(*transport, options);
    for (const std::uint64_t bytes : options.sizes) rows.push_back(bench.measure(bytes));
  }
  if (rank == 0) std::ofstream(options.results) << rows;
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Finalize();
  return 0;
}

#else

nlohmann::json compare_with_mpi(const CollectivesOptions&) {
  core::fail(Kind::unsupported, "this program was built without MPI (STARLING_MPI=OFF): --algorithms needs none");
}

int run_mpi_rank(const CollectivesOptions&) { core::fail(Kind::unsupported, "this program was built without MPI"); }

#endif

}  // namespace starling::tools::bench
