#include "tools/serve/answer.h"

#include <algorithm>
#include <iterator>

#include "tools/serve/ids.h"

namespace starling::tools {
namespace {

std::int64_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

}  // namespace

Answer::Answer(std::shared_ptr<Exchange> exchange, Options options)
    : exchange_(std::move(exchange)), options_(std::move(options)), choices_(static_cast<std::size_t>(options_.choices)) {
  for (Choice& choice : choices_) choice.parser = core::ToolCallParser(options_.calls);
}

void Answer::begin() {
  if (over_) return;
  if (options_.stream) exchange_->stream();
  for (int i = 0; i < options_.choices; ++i) {
    if (options_.stream && options_.kind == Kind::chat) exchange_->event(dump(chat_first_chunk(options_.head, i)));
    if (!options_.echo.empty()) write(i, choices_[static_cast<std::size_t>(i)], {options_.echo[static_cast<std::size_t>(i)], {}, {}});
  }
}

void Answer::event(int index, const SessionEvent& event) {
  if (over_) return;
  if (event.error) return fail(*event.error);
  Choice& choice = choices_.at(static_cast<std::size_t>(index));
  if (event.cached && index == 0) cached_ = *event.cached;
  choice.tokens = std::max(choice.tokens, event.tokens);
  Written written = take(choice, choice.parser.push(event.text));
  written.logprobs = event.logprobs;
  write(index, choice, std::move(written));
  if (event.reason.empty()) return;
  const bool cancelled = event.reason == "cancelled";
  if (cancelled && !stopped_) return fail(ApiError(503, "unavailable_error", "the server is stopping"));
  write(index, choice, take(choice, choice.parser.finish()));
  finish_choice(index, choice, cancelled ? "stop" : choice.calls > 0 && event.reason == "stop" ? "tool_calls" : event.reason);
}

Written Answer::take(Choice& choice, core::ToolCallParser::Output found) const {
  Written written{std::move(found.text), {}, {}};
  for (core::ToolCall& call : found.calls) {
    const int index = choice.calls++;
    const std::string id = new_id("call_");
    if (options_.stream) {
      written.calls.push_back({index, id, call.name, ""});
      written.calls.push_back({index, "", "", std::move(call.arguments)});
    } else {
      written.calls.push_back({index, id, call.name, std::move(call.arguments)});
    }
  }
  return written;
}

void Answer::write(int index, Choice& choice, Written written) {
  if (written.text.empty() && written.calls.empty() && written.logprobs.empty()) return;
  if (options_.stream && written.calls.size() > 1) {
    // Clients join the pieces of a call over chunks, not within one.
    for (ToolCallPiece& call : std::exchange(written.calls, {})) write(index, choice, {std::exchange(written.text, ""), {std::move(call)}, std::exchange(written.logprobs, {})});
    return;
  }
  if (options_.stream) {
    const Json chunk = options_.kind == Kind::chat ? chat_chunk(options_.head, index, written)
                                                   : completion_chunk(options_.head, index, written, choice.characters, "");
    choice.characters += characters(written.text);
    return exchange_->event(dump(chunk));
  }
  Written& whole = choice.finished.written;
  whole.text += written.text;
  std::move(written.calls.begin(), written.calls.end(), std::back_inserter(whole.calls));
  whole.logprobs.insert(whole.logprobs.end(), written.logprobs.begin(), written.logprobs.end());
}

void Answer::finish_choice(int index, Choice& choice, const std::string& reason) {
  choice.over = true;
  choice.finished.reason = reason;
  if (options_.stream)
    exchange_->event(dump(options_.kind == Kind::chat ? chat_last_chunk(options_.head, index, reason)
                                                      : completion_chunk(options_.head, index, {}, choice.characters, reason)));
  if (std::all_of(choices_.begin(), choices_.end(), [](const Choice& c) { return c.over; })) complete();
}

void Answer::fail(const ApiError& error) {
  over_ = true;
  if (!options_.stream) return exchange_->reply(error_reply(error));
  exchange_->event(to_json(error).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  exchange_->end();
}

void Answer::complete() {
  over_ = true;
  Usage usage{options_.prompt_tokens, 0, cached_};
  std::vector<FinishedChoice> finished;
  for (Choice& choice : choices_) {
    usage.completion += choice.tokens;
    finished.push_back(std::move(choice.finished));
  }
  const bool chat = options_.kind == Kind::chat;
  if (!options_.stream) {
    HttpReply reply;
    reply.body = dump(chat ? chat_reply(options_.head, finished, usage) : completion_reply(options_.head, finished, usage));
    return exchange_->reply(std::move(reply));
  }
  if (options_.head.include_usage) exchange_->event(dump(usage_chunk(options_.head, chat ? kChatChunk : kCompletion, usage)));
  exchange_->event("[DONE]");
  exchange_->end();
}

}  // namespace starling::tools
