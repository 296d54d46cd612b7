#include "tools/serve/served_encoder.h"

#include <future>
#include <thread>

#include <doctest/doctest.h>

#include "core/pool.h"
#include "tests/oracle/small_encoder.h"
#include "tests/temporary_folder.h"

namespace starling::tests {
namespace {

using core::TokenId;
using tools::ServedEncoder;

core::BertModel model(const TemporaryFolder& folder) {
  write_text_encoder(folder / "bert", encoder_texts(), "mean");
  return core::load_bert(folder / "bert");
}

/// The encoder's thread in a `done` until it may go on.
class Held {
 public:
  explicit Held(ServedEncoder& encoder) {
    encoder.submit({2, 5, 3}, [this](std::span<const float>, const core::Error*) {
      begun_.set_value();
      go_.get_future().wait();
    });
    begun_.get_future().wait();
  }
  void go() { go_.set_value(); }

 private:
  std::promise<void> begun_, go_;
};

TEST_CASE("a served encoder gives each text the vector that it has alone, or says what is wrong with it") {
  const TemporaryFolder folder;
  const core::BertModel alone = model(folder);
  core::Pool pool(1);
  ServedEncoder encoder(model(folder), {"bert", 2, 8});
  for (const std::vector<TokenId>& tokens : {std::vector<TokenId>{2, 5, 6, 3}, {2, 3}}) {
    std::promise<std::vector<float>> vector;
    encoder.submit(tokens, [&](std::span<const float> values, const core::Error* why) {
      CHECK(why == nullptr);
      vector.set_value({values.begin(), values.end()});
    });
    const std::span<const TokenId> text(tokens);
    CHECK(vector.get_future().get() == core::embeddings(alone, {&text, 1}, pool).front());
  }
  const auto submit = [&](std::vector<TokenId> tokens) { encoder.submit(std::move(tokens), [](std::span<const float>, const core::Error*) {}); };
  CHECK_THROWS_WITH_AS(submit(std::vector<TokenId>(25, 5)), doctest::Contains("takes 1 to 24"), core::Error);
  CHECK_THROWS_WITH_AS(submit({40}), doctest::Contains("vocabulary of 40"), core::Error);
}

TEST_CASE("texts beyond the queue are refused, cancelled ones forgotten, and those that wait at the end are told") {
  const TemporaryFolder folder;
  std::string told;
  {
    ServedEncoder encoder(model(folder), {"bert", 1, 2});
    Held held(encoder);
    const auto tell = [&](const char* name) {
      return [&told, name](std::span<const float>, const core::Error* why) { told += std::string(name) + (why ? "! " : " "); };
    };
    const ServedEncoder::TextId first = encoder.submit({2, 3}, tell("first"));
    encoder.submit({2, 3}, tell("second"));
    CHECK_THROWS_WITH_AS(encoder.submit({2, 3}, tell("third")), doctest::Contains("2 texts are waiting"), core::Error);
    CHECK(encoder.status().waiting == 2);
    encoder.cancel(first);
    CHECK(encoder.status().waiting == 1);
    std::promise<void> over;
    encoder.submit({2, 3}, [&](std::span<const float>, const core::Error*) { over.set_value(); });
    held.go();
    over.get_future().wait();
    CHECK(told == "second ");
  }
  std::promise<void> stopping;
  std::thread stops;
  {
    auto encoder = std::make_unique<ServedEncoder>(model(folder), tools::EncoderOptions{"bert", 1, 2});
    Held held(*encoder);
    encoder->submit({2, 3}, [&](std::span<const float>, const core::Error* why) { told += why ? why->what() : "a vector"; });
    stops = std::thread([&] {
      stopping.set_value();
      encoder.reset();
    });
    stopping.get_future().wait();
    held.go();
    stops.join();
  }
  // It may have been computed before the end was seen.
  CHECK((told == "second the encoder stops" || told == "second a vector"));
}

}  // namespace
}  // namespace starling::tests
