// The messages between a federated server and its nodes: they survive the wire, and hostile ones are refused by field.
#include "federated/client_messages.h"

#include <limits>

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/golden_files.h"

using namespace starling;
using namespace starling::federated;

namespace {

ClientJob example_job() { return {"name = \"x\"\n", 0x123456789abcdef0u, 41, 2, 5, 44426}; }

TaskMessage example_task() {
  TaskMessage task{17, 3, 9, {}, true, false};
  task.work = {0.125, true, false, true};
  return task;
}

ReplyMessage example_reply() {
  ReplyMessage message;
  message.reply.task = 17;
  message.reply.client = 3;
  message.reply.steps = 12;
  message.reply.examples = 480;
  message.reply.normaliser = 11.5;
  message.reply.loss = 0.75;
  message.reply.loss_at_start = 2.25;
  message.values = 44426;
  message.control_values = 10;
  message.stateful = true;
  message.failure = "";
  return message;
}

template <class Decode, class Message>
std::string refusal(Decode decode, const Message& message) {
  try {
    decode(encode(message), "node-1");
  } catch (const core::Error& error) {
    CHECK(error.kind() == core::Kind::malformed);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("the messages survive the wire") {
  const ClientJob job = decode_client_job(encode(example_job()), "server");
  CHECK(job.experiment == "name = \"x\"\n");
  CHECK(job.run == 0x123456789abcdef0u);
  CHECK(job.first_task == 41);
  CHECK(job.node == 2);
  CHECK(job.nodes == 5);
  CHECK(job.values == 44426);
  const TaskMessage task = decode_task(encode(example_task()), "server");
  CHECK(task.task == 17);
  CHECK(task.client == 3);
  CHECK(task.round == 9);
  CHECK(task.work.proximal == 0.125);
  CHECK(task.work.control_variates);
  CHECK_FALSE(task.work.loss_at_start);
  CHECK(task.work.norms_stay_home);
  CHECK(task.model);
  CHECK_FALSE(task.more);
  ReplyMessage sent = example_reply();
  sent.failure = "the loss is nan";
  const ReplyMessage reply = decode_reply(encode(sent), "node-1");
  CHECK(reply.reply.task == 17);
  CHECK(reply.reply.steps == 12);
  CHECK(reply.reply.examples == 480);
  CHECK(reply.reply.normaliser == 11.5);
  CHECK(reply.reply.loss == 0.75);
  CHECK(reply.reply.loss_at_start == 2.25);
  CHECK(reply.values == 44426);
  CHECK(reply.control_values == 10);
  CHECK(reply.stateful);
  CHECK(reply.failure == "the loss is nan");
  const Verdict verdict = decode_verdict(encode(Verdict{17, 3, true}), "server");
  CHECK(verdict.task == 17);
  CHECK(verdict.counts);
  CHECK(decode_settle(encode_settle(99), "server") == 99);
  CHECK(decode_client_ready(encode(ClientReady{2, 600}), "node-1").own_examples == 600);
  CHECK(decode_client_report(encode(ClientReport{4, 5, 6, 7, 8.5}), "node-1").train_ms == 8.5);
}

TEST_CASE("impossible values are refused by name") {
  ClientJob job = example_job();
  job.node = 5;
  CHECK(refusal(decode_client_job, job) == "node-1: node: 5 of 5");
  job = example_job();
  job.values = kValuesMax + 1;
  CHECK(refusal(decode_client_job, job).find("values:") != std::string::npos);
  job = example_job();
  job.first_task = ~std::uint64_t{0};
  CHECK(refusal(decode_client_job, job).find("firstTask:") != std::string::npos);
  CHECK(refusal(decode_client_ready, ClientReady{0, 0}) == "node-1: threads: 0, expected 1 to 1024");
  CHECK(refusal(decode_client_ready, ClientReady{2000, 0}).find("threads: 2000") != std::string::npos);
  TaskMessage task = example_task();
  task.client = -1;
  CHECK(refusal(decode_task, task).find("client:") != std::string::npos);
  task = example_task();
  task.work.proximal = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal(decode_task, task).find("proximal:") != std::string::npos);
  ReplyMessage reply = example_reply();
  reply.values = ~std::uint64_t{0};
  CHECK(refusal(decode_reply, reply).find("values:") != std::string::npos);
  reply = example_reply();
  reply.control_values = kValuesMax + 1;
  CHECK(refusal(decode_reply, reply).find("controlValues:") != std::string::npos);
}

TEST_CASE("client messages have the bytes they had when the wire format was fixed") {
  using tests::as_string;
  using tests::tagged;
  ReplyMessage failed = example_reply();
  failed.failure = "the loss is nan";
  const tests::GoldenFiles files{{"job", tagged(0, as_string(encode(example_job())))},
                                 {"ready", tagged(1, as_string(encode(ClientReady{2, 600})))},
                                 {"task", tagged(2, as_string(encode(example_task())))},
                                 {"reply", tagged(3, as_string(encode(example_reply())))},
                                 {"failure", tagged(3, as_string(encode(failed)))},
                                 {"verdict", tagged(4, as_string(encode(Verdict{17, 3, true})))},
                                 {"settle", tagged(5, as_string(encode_settle(99)))},
                                 {"report", tagged(6, as_string(encode(ClientReport{4, 5, 6, 7, 8.5})))}};
  CHECK(tests::differences("client_messages", files) == "");
}
