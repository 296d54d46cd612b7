#include "tools/serve/answer.h"

#include <algorithm>

namespace starling::tools {
namespace {

std::int64_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

}  // namespace

Answer::Answer(std::shared_ptr<Exchange> exchange, Options options)
    : exchange_(std::move(exchange)), options_(std::move(options)), choices_(static_cast<std::size_t>(options_.choices)) {}

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
  if (!event.text.empty() || !event.logprobs.empty()) write(index, choice, {event.text, {}, event.logprobs});
  if (event.reason == "cancelled") return fail(ApiError(503, "unavailable_error", "the server is stopping"));
  if (!event.reason.empty()) finish_choice(index, choice, event.reason);
}

void Answer::write(int index, Choice& choice, Written written) {
  if (options_.stream) {
    const Json chunk = options_.kind == Kind::chat ? chat_chunk(options_.head, index, written)
                                                   : completion_chunk(options_.head, index, written, choice.characters, "");
    choice.characters += characters(written.text);
    return exchange_->event(dump(chunk));
  }
  Written& whole = choice.finished.written;
  whole.text += written.text;
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
