// One request's answer while it is written: the choices' events become one reply or one stream. Lives on the server's
// thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/text/chat/tool_calls.h"
#include "tools/serve/http.h"
#include "tools/serve/openai_reply.h"
#include "tools/serve/session.h"

namespace starling::tools {

class Answer {
 public:
  enum class Kind { chat, completion };
  struct Options {
    Kind kind = Kind::chat;
    ReplyHead head;
    int choices = 1;
    bool stream = false;
    std::int64_t prompt_tokens = 0;
    std::vector<std::string> echo;  // what each choice begins with; empty: nothing
    core::ToolCallStyle calls = core::ToolCallStyle::none;  // how calls of tools are found in the text
  };

  Answer(std::shared_ptr<Exchange> exchange, Options options);

  /// All choices are under way: from here on an error is an event of the stream, no reply.
  void begin();
  void event(int choice, const SessionEvent& event);
  /// Nobody waits for it any more, or it is complete.
  bool over() const { return over_; }
  void abandon() { over_ = true; }
  /// Its sequences are being cancelled on request: what they wrote is the answer.
  void stop() { stopped_ = true; }

 private:
  struct Choice {
    FinishedChoice finished;
    core::ToolCallParser parser{core::ToolCallStyle::none};
    std::int64_t characters = 0, tokens = 0;
    int calls = 0;
    bool over = false;
  };
  /// `found` by the parser as it is written, each call with an id.
  Written take(Choice& choice, core::ToolCallParser::Output found) const;
  void write(int index, Choice& choice, Written written);
  void finish_choice(int index, Choice& choice, const std::string& reason);
  void fail(const ApiError& error);
  void complete();

  std::shared_ptr<Exchange> exchange_;
  Options options_;
  std::vector<Choice> choices_;
  std::int64_t cached_ = 0;
  bool over_ = false, stopped_ = false;
};

}  // namespace starling::tools
