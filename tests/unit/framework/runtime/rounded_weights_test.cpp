// SPDX-License-Identifier: Apache-2.0
//
// Weights that are kept are what reading them anew gives, and are read once.

#include "framework/runtime/rounded_weights.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "framework/format/scheme.hpp"
#include "framework/runtime/weight_loader.hpp"

namespace tessera {
namespace {

constexpr uint32_t kN = 4;
constexpr uint32_t kK = 32;

struct RoundedWeightsTest : ::testing::Test {
  RoundedWeightsTest() {
    weight.name = "layers.0.mlp.down_proj";
    weight.source = "down";
    weight.N = kN;
    weight.K = kK;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = 0.25f * static_cast<float>(i % 37) - 3.0f;
    }
    source.tensor = [this](const std::string&) -> Result<SourceTensor> {
      ++reads;
      return SourceTensor{TSR_F32,
                          {kN, kK},
                          std::as_bytes(std::span<const float>(values)),
                          nullptr};
    };
  }

  std::shared_ptr<const format::WeightData> read(RoundedWeights& from,
                                                 const char* scheme) {
    const LinearChoice choice = choose_linear(weight, *find_scheme(scheme));
    auto data = from.read(weight, choice, source);
    EXPECT_TRUE(data.ok()) << data.status().message();
    return data.ok() ? *data : nullptr;
  }

  GraphWeight weight;
  std::vector<float> values = std::vector<float>(size_t{kN} * kK);
  WeightSource source;
  int reads = 0;
};

TEST_F(RoundedWeightsTest, AreReadOnceForEachPrecision) {
  RoundedWeights kept(1 << 20);
  const auto first = read(kept, "w8a16");
  EXPECT_EQ(read(kept, "w8a16"), first);
  EXPECT_EQ(reads, 1);
  const auto other = read(kept, "w4a16_g32");
  EXPECT_EQ(reads, 2);
  EXPECT_NE(other->format, first->format);
  EXPECT_EQ(kept.bytes(), first->bytes() + other->bytes());

  // The weights of a scheme, whatever it does to activations.
  EXPECT_EQ(read(kept, "w8a8_dynamic"), first);

  const LinearChoice choice = choose_linear(weight, *find_scheme("w8a16"));
  const auto anew = read_weight(weight, choice, source);
  ASSERT_TRUE(anew.ok()) << anew.status().message();
  ASSERT_EQ(anew->planes.size(), first->planes.size());
  for (size_t i = 0; i < anew->planes.size(); ++i) {
    const auto a = anew->planes[i].bytes();
    const auto b = first->planes[i].bytes();
    ASSERT_EQ(a.size(), b.size());
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size()), 0);
  }
}

TEST_F(RoundedWeightsTest, OfAnotherWeightAreOthers) {
  RoundedWeights kept(1 << 20);
  const auto first = read(kept, "w8a16");
  weight.name = "layers.1.mlp.down_proj";
  EXPECT_NE(read(kept, "w8a16"), first);
  weight.first_row = 2;
  weight.source_rows = kN;
  weight.N = 2;
  EXPECT_EQ(read(kept, "w8a16")->N, 2U) << "some rows are another weight";
  EXPECT_EQ(reads, 3);
}

TEST_F(RoundedWeightsTest, AreNoMoreThanTheirLimit) {
  RoundedWeights measure(1 << 20);
  const uint64_t bytes = read(measure, "w8a16")->bytes();
  RoundedWeights kept(bytes);
  read(kept, "w8a16");
  EXPECT_EQ(kept.bytes(), bytes);
  read(kept, "w4a16_g32");
  EXPECT_EQ(kept.bytes(), bytes) << "there was no room";
  const int before = reads;
  read(kept, "w8a16");
  EXPECT_EQ(reads, before);
  read(kept, "w4a16_g32");
  EXPECT_EQ(reads, before + 1);
}

TEST_F(RoundedWeightsTest, AreForgottenAndWhatTheFileHoldsIsNotKept) {
  RoundedWeights kept(1 << 20);
  read(kept, "w8a16");
  kept.forget(weight, choose_linear(weight, *find_scheme("w8a16")));
  EXPECT_EQ(kept.bytes(), 0U);
  read(kept, "w8a16");
  EXPECT_EQ(reads, 2);
  kept.forget(weight, choose_linear(weight, *find_scheme("w8a16")));
  const auto borrowed = read(kept, "f32");
  EXPECT_EQ(kept.bytes(), 0U);
  EXPECT_EQ(static_cast<const void*>(borrowed->planes[0].bytes().data()),
            static_cast<const void*>(values.data()));
}

}  // namespace
}  // namespace tessera
