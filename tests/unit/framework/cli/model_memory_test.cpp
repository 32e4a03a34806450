// SPDX-License-Identifier: Apache-2.0
//
// What does not fit is said before anything is loaded.

#include "framework/cli/bench/model_memory.hpp"

#include <gtest/gtest.h>

#include "framework/cli/random_model.hpp"
#include "framework/format/scheme.hpp"

namespace tessera::cli {
namespace {

Setting setting_of(const char* scheme) {
  Setting setting;
  setting.scheme = *find_scheme(scheme);
  return setting;
}

// Qwen3-0.6B: 28 layers, 8 KV heads of 128; f16 by default.
TEST(ModelNeed, OfTheCacheIsArithmetic) {
  const Result<LoadedModel> model = random_model("qwen3-0.6b");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const bench::ModelLoad load{32, 16384 - 32, 32};
  const Result<ModelNeed> need = model_need(*model, setting_of("w8a16"), load);
  ASSERT_TRUE(need.ok()) << need.status().message();
  constexpr uint64_t kToken = 28ULL * 8 * 128 * 2 * sizeof(uint16_t);
  EXPECT_EQ(need->kv_bytes, 32 * 16384 * kToken);
  // 596 M parameters, the head tied to the embedding in another type.
  EXPECT_GT(need->weight_bytes, 440ULL << 20);
  EXPECT_LT(need->weight_bytes, 1ULL << 30);
}

TEST(ModelNeed, GrowsByWholeBlocks) {
  const Result<LoadedModel> model = random_model("qwen3-0.6b");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Setting setting = setting_of("w4a16");
  const auto kv_bytes = [&](uint32_t context) {
    return model_need(*model, setting, {1, context, 1})->kv_bytes;
  };
  EXPECT_EQ(kv_bytes(1), kv_bytes(15));
  EXPECT_EQ(2 * kv_bytes(15), kv_bytes(16));
}

TEST(StepBytes, AreOfEachWeightOnceAndOfEverySequencesCache) {
  const Result<LoadedModel> model = random_model("qwen3-0.6b");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Setting setting = setting_of("f32");
  const auto bytes = [&](uint32_t batch, uint32_t context, uint32_t tokens) {
    return *step_bytes(*model, setting, {batch, context, tokens});
  };
  constexpr double kToken = 28.0 * 8 * 128 * 2 * sizeof(float);
  // q and o, k and v, gate, up and down; the head.
  constexpr double kLayer =
      2.0 * 2048 * 1024 + 2.0 * 1024 * 1024 + 3.0 * 3072 * 1024;
  constexpr double kWeights = sizeof(float) * (28 * kLayer + 151936.0 * 1024);
  // The first step sees the context and its own token.
  EXPECT_EQ(bytes(1, 500, 1), kWeights + 501 * kToken);
  // The steps after 500 tokens see 501, 502, 503.
  EXPECT_EQ(bytes(1, 500, 3), kWeights + 502 * kToken);
  EXPECT_EQ(bytes(8, 500, 3), kWeights + 8 * 502 * kToken);
}

TEST(CheckMemory, NamesWhatIsNeededAndWhatIsThere) {
  constexpr uint64_t kGigabyte = 1'000'000'000;
  EXPECT_TRUE(check_memory({kGigabyte, kGigabyte}, 2 * kGigabyte).ok());
  const Status status = check_memory({kGigabyte, 3 * kGigabyte}, 2 * kGigabyte);
  EXPECT_EQ(status.code(), TSR_RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.message(),
            "needs 4.00 GB at least (1.00 GB of weights, 3.00 GB of KV cache), "
            "and 2.00 GB of memory are free");
}

TEST(FreeMemory, IsThereForATest) { EXPECT_GT(free_memory(), 1ULL << 20); }

}  // namespace
}  // namespace tessera::cli
