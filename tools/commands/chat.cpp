// `starling chat`: a conversation in the terminal, with the engine, sessions and templates of `starling serve`.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <iostream>
#include <mutex>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/command.h"
#include "tools/model_run.h"
#include "tools/serve/chat_input.h"
#include "tools/serve/ids.h"
#include "tools/serve/served_model.h"
#include "tools/serve/session.h"

namespace starling::tools {
namespace {

struct ChatOptions {
  ModelOptions model;
  SessionSettings session;
  std::string system;
  std::int64_t tokens = 0;
  bool json = false;
};

constexpr const char* kHelp = "/quit ends, /reset begins anew, /system TEXT says who the model is, Ctrl-C stops an answer\n";

/// Set by Ctrl-C while an answer is written.
std::atomic<bool> interrupted = false;
void interrupt(int) { interrupted = true; }

/// Ctrl-C stops an answer while this lives, and the program otherwise.
class Interruptible {
 public:
  Interruptible() {
    interrupted = false;
    struct sigaction action {};
    action.sa_handler = interrupt;
    ::sigaction(SIGINT, &action, &before_);
  }
  ~Interruptible() { ::sigaction(SIGINT, &before_, nullptr); }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  struct sigaction before_ {};
};

/// Events on their way from the engine's thread to the terminal's.
class Events {
 public:
  void put(SessionEvent event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    came_.notify_one();
  }
  /// The next one; nothing after a while, so that an interruption is seen.
  std::optional<SessionEvent> take() {
    std::unique_lock lock(mutex_);
    if (!came_.wait_for(lock, std::chrono::milliseconds(50), [this] { return !events_.empty(); })) return std::nullopt;
    SessionEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<SessionEvent> events_;
};

class Conversation {
 public:
  Conversation(const ChatOptions& options, ServedModel& model) : options_(options), model_(model) { reset(options.system); }

  void reset(const std::string& system) {
    input_.messages.clear();
    input_.date = today();
    if (!system.empty()) input_.messages.push_back({"system", system, {}, {}});
    system_ = system;
  }
  const std::string& system() const { return system_; }

  /// The model's answer, printed as it comes. Errors leave the conversation as it was.
  void say(const std::string& text) {
    input_.messages.push_back({"user", text, {}, {}});
    try {
      std::string answer = ask();
      input_.messages.push_back({"assistant", std::move(answer), {}, {}});
    } catch (const core::Error& error) {
      input_.messages.pop_back();
      if (error.kind() == core::Kind::unreachable || error.kind() == core::Kind::internal) throw;
      fmt::print(stderr, "starling: {}\n", error.what());
    }
  }

 private:
  std::string ask() {
    const std::vector<core::TokenId> prompt = model_.encode_chat(input_);
    const std::int64_t room = model_.context() - static_cast<std::int64_t>(prompt.size());
    core::check(room > 0, core::Kind::usage, "the conversation has {} tokens, the context {}: /reset begins anew", prompt.size(), model_.context());
    SessionSettings settings = options_.session;
    settings.tokens = options_.tokens > 0 ? std::min(options_.tokens, room) : room;
    settings.sampler.seed += turn_++;
    const auto events = std::make_shared<Events>();
    partition::Request request;
    request.prompt = prompt;
    request.decoder = std::make_shared<Session>(model_.tokenizer(), prompt, settings, [events](SessionEvent event) { events->put(std::move(event)); });
    const Interruptible interruptible;
    const partition::SequenceId id = model_.engine().submit(std::move(request));
    return collect(*events, id);
  }

  std::string collect(Events& events, partition::SequenceId id) {
    std::string text, reason;
    bool cancelled = false;
    while (reason.empty()) {
      if (interrupted && !std::exchange(cancelled, true)) model_.engine().cancel(id);
      const auto event = events.take();
      if (!event) continue;
      if (event->error) throw ApiError(*event->error);
      text += event->text;
      reason = event->reason;
      if (!options_.json) print(event->text);
      flush_output();
    }
    if (options_.json) print_json({{"role", "assistant"}, {"content", text}, {"finish_reason", reason}});
    else print(cancelled ? " [stopped]\n\n" : "\n\n");
    flush_output();
    return text;
  }

  const ChatOptions& options_;
  ServedModel& model_;
  core::ChatInput input_;
  std::string system_;
  std::uint64_t turn_ = 0;
};

/// False at the end of the conversation.
bool take_line(Conversation& conversation, const std::string& line) {
  if (line == "/quit" || line == "/exit") return false;
  if (line.empty()) return true;
  if (line == "/reset") conversation.reset(conversation.system());
  else if (line.starts_with("/system")) conversation.reset(line.size() > 8 ? line.substr(8) : "");
  else if (line.starts_with('/')) fmt::print(stderr, "{}", kHelp);
  else conversation.say(line);
  return true;
}

int talk(const ChatOptions& options, ServedModel& model, core::Rank ranks) {
  model.chat_template();  // whoever cannot chat says so at once
  const bool terminal = ::isatty(STDIN_FILENO) && !options.json;
  if (terminal) fmt::print(stderr, "{} on {} node(s). {}\n", model.name(), ranks, kHelp);
  Conversation conversation(options, model);
  std::string line;
  do {
    if (terminal) fmt::print(stderr, "> ");
  } while (std::getline(std::cin, line) && take_line(conversation, line));
  return 0;
}

int run_chat(const ChatOptions& options) {
  core::validate(options.session.sampler);
  return run_with_model(
      options.model.cluster, [&] { return load_served(options.model); },
      [&](core::LlamaModel loaded, Cluster& cluster) {
        ServedModel model(options.model, std::move(loaded), cluster);
        return talk(options, model, cluster.size());
      });
}

}  // namespace

std::function<int()> chat(CLI::App& app) {
  auto o = std::make_shared<ChatOptions>();
  core::SamplerSettings& sampler = o->session.sampler;
  sampler.temperature = 0.7f;
  sampler.top_p = 0.95f;
  o->model.sequences = 1;
  sampler.seed = random_seed();
  add_model_options(app, o->model);
  app.add_option("--system", o->system, "who the model is");
  app.add_option("--tokens", o->tokens, "most tokens of an answer (default: as many as fit)")->check(CLI::Range(1, 1 << 24));
  app.add_option("--temperature", sampler.temperature, "0: greedy")->capture_default_str();
  app.add_option("--top-k", sampler.top_k, "keep the k most likely tokens (0: all)")->capture_default_str();
  app.add_option("--top-p", sampler.top_p, "keep the likeliest tokens of this mass")->capture_default_str();
  app.add_option("--min-p", sampler.min_p, "keep tokens of at least this part of the likeliest one's probability")->capture_default_str();
  app.add_option("--repeat-penalty", sampler.repeat_penalty, "above 1: recent tokens become less likely")->capture_default_str();
  app.add_option_function<std::uint64_t>("--seed", [o](const std::uint64_t& seed) { o->session.sampler.seed = seed; }, "of the draws (default: random)");
  add_json_flag(app, o->json);
  return [o] { return run_chat(*o); };
}

}  // namespace starling::tools
