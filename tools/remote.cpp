#include "tools/remote.h"

#include <cctype>
#include <filesystem>
#include <thread>

#include "core/error.h"
#include "tools/process.h"
#include "tools/run.h"

namespace starling::tools {
namespace {

/// Values come from a hosts file, which allows no quotes in them.
std::string shell_quoted(const std::string& text) { return "'" + text + "'"; }

std::string node_name(const Host& host, std::size_t index) {
  return host.name.empty() ? fmt::format("node-{}", index + 1) : host.name;
}

/// One file name per node; names may hold characters that file names do not.
std::string file_stem(const std::string& name) {
  std::string stem = name;
  for (char& c : stem)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') c = '_';
  return stem;
}

constexpr const char* kFolderScript = R"sh(set -u
folder="${XDG_STATE_HOME:-$HOME/.local/state}/starling"
stem="$folder"/)sh";

/// `alive` does not take a process that ended and that nobody has collected yet (as in a container whose first process
/// is no init) for one that runs. It asks for the state: a command line is empty for a moment of every exec too. Sets `running` to the pid of the node if it is
/// there: a pid file may name a process that has the number by chance.
constexpr const char* kFind = R"sh(
alive() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
running=
if [ -f "$stem.pid" ]; then
  pid=$(cat "$stem.pid")
  if alive "$pid" && tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qx node; then running=$pid; fi
fi
)sh";

constexpr const char* kStart = R"sh(
if [ -n "$running" ]; then echo "already running (pid $running)"; exit 0; fi
mkdir -p "$folder" && chmod 700 "$folder" || exit 1
rm -f "$stem.uri"
nohup setsid "$@" --announce 3 </dev/null >"$stem.log" 2>&1 3>"$stem.uri" &
pid=$!
echo "$pid" >"$stem.pid"
tries=0
while [ ! -s "$stem.uri" ]; do
  if ! alive "$pid"; then rm -f "$stem.pid"; tail -n 3 "$stem.log"; exit 1; fi
  tries=$((tries + 1))
  if [ "$tries" -gt 200 ]; then kill -9 "$pid"; rm -f "$stem.pid"; echo "not ready after 20 s"; exit 1; fi
  sleep 0.1
done
echo "started (pid $pid)"
)sh";

constexpr const char* kStop = R"sh(
if [ -z "$running" ]; then rm -f "$stem.pid"; echo "not running"; exit 0; fi
kill "$running"
tries=0
while alive "$running"; do
  tries=$((tries + 1))
  if [ "$tries" -eq 30 ]; then kill -9 "$running"; fi
  if [ "$tries" -gt 60 ]; then echo "pid $running does not end"; exit 1; fi
  sleep 0.1
done
rm -f "$stem.pid" "$stem.uri"
echo "stopped (pid $running)"
)sh";

std::string program_of(const Host& host) {
  if (!host.program.empty()) return host.program;
  return host.ssh.empty() ? std::filesystem::read_symlink(kOwnProgram).string() : "starling";
}

std::string node_command(const Host& host, const std::string& name, const RemoteOptions& options) {
  std::string command = fmt::format("set -- {} node --listen {} --name {}", shell_quoted(program_of(host)), shell_quoted(host.uri), shell_quoted(name));
  if (host.threads > 0) command += fmt::format(" --threads {}", host.threads);
  if (host.memory_bytes > 0) command += fmt::format(" --memory {}", host.memory_bytes);
  if (options.insecure) command += " --insecure";
  return command;
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto at = text.rfind('\n');
  return at == std::string::npos ? text : text.substr(at + 1);
}

RemoteResult run_on(const Host& host, const std::string& name, const std::string& script, const RemoteOptions& options) {
  RemoteResult result{name, host.uri, host.ssh.empty() ? "this machine" : host.ssh, false, {}};
  std::vector<std::string> command{"sh", "-c", script};
  if (!host.ssh.empty()) command = {"ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", host.ssh, script};
  try {
    const Finished finished = run_command(command, std::chrono::steady_clock::now() + options.patience);
    result.ok = finished.status == 0;
    result.detail = last_line(finished.output);
    if (result.detail.empty()) result.detail = fmt::format("status {}", finished.status);
  } catch (const core::Error& error) {
    result.detail = error.what();
  }
  return result;
}

template <class MakeScript>
std::vector<RemoteResult> run_on_all(const std::vector<Host>& hosts, const RemoteOptions& options, MakeScript make_script) {
  std::vector<RemoteResult> results(hosts.size());
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < hosts.size(); ++i)
    threads.emplace_back([&, i] {
      const std::string name = node_name(hosts[i], i);
      results[i] = run_on(hosts[i], name, kFolderScript + shell_quoted(file_stem(name)) + kFind + make_script(hosts[i], name), options);
    });
  threads.clear();
  return results;
}

}  // namespace

std::vector<RemoteResult> start_nodes(const std::vector<Host>& hosts, const RemoteOptions& options) {
  return run_on_all(hosts, options, [&](const Host& host, const std::string& name) {
    return node_command(host, name, options) + kStart;
  });
}

std::vector<RemoteResult> stop_nodes(const std::vector<Host>& hosts, const RemoteOptions& options) {
  return run_on_all(hosts, options, [](const Host&, const std::string&) { return std::string(kStop); });
}

}  // namespace starling::tools
