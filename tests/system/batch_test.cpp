// Batches of sequences on real processes: the bits of each alone, whatever the cluster.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/temporary_folder.h"
#include "tests/tools/program.h"

using starling::tests::run_starling;

TEST_CASE("batches of one to eight sequences give the same bits on one, two and three processes, and find what they saw before") {
  const starling::tests::TemporaryFolder folder;
  for (const char* type : {"f32", "q8_0"}) {
    const std::string model = folder / (std::string(type) + ".gguf");
    REQUIRE(run_starling("bench make-model syn-1M " + model + " --type " + type).status == 0);
    std::string hash;
    for (const char* cluster : {"local:1 --threads 2", "local:2 --threads 1 --prefill-chunk 11", "local:3 --threads 1"}) {
      CAPTURE(std::string(cluster));
      const auto ran = run_starling("bench batch " + model + " --sequences 1,3,8 --tokens 40 --prefix 100 --rounds 1 --json --nodes " + cluster);
      REQUIRE(ran.status == 0);
      const auto result = nlohmann::json::parse(ran.out);
      REQUIRE(result.at("batches").size() == 3);
      for (const auto& size : result.at("batches")) CHECK(size.at("same_bits").get<bool>());
      CHECK(result.at("prefix").at("reused_tokens") == 100);
      if (hash.empty()) hash = result.at("logits_hash");
      CHECK(result.at("logits_hash") == hash);
    }
  }
}
