// SPDX-License-Identifier: Apache-2.0

#include "framework/model/rope.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace tessera {
namespace {

ModelConfig small_model(const RopeConfig& rope) {
  ModelConfig config;
  config.head_dim = 16;
  config.max_positions = 4096;
  config.rope = rope;
  return config;
}

// The expected values are those of transformers 5.23.0, ROPE_INIT_FUNCTIONS,
// for head_dim 16 and max_position_embeddings 4096.  It computes in f32: a
// power, a division and up to four more operations, each off by half an ulp
// (2^-24 relative) and the power by two, leave less than 8 ulp.
constexpr double kRelative = 8 * 0x1p-24;

void expect_near(const std::vector<double>& actual,
                 const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], expected[i] * kRelative) << i;
  }
}

TEST(Rope, DefaultIsAGeometricSequence) {
  const RopeFrequencies f = rope_frequencies(small_model({}), 4096);
  EXPECT_EQ(f.attention_factor, 1.0);
  ASSERT_EQ(f.inverse.size(), 8U);
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_DOUBLE_EQ(f.inverse[i],
                     std::pow(10000.0, -static_cast<double>(i) / 8.0));
  }
}

TEST(Rope, LinearDividesEveryFrequency) {
  RopeConfig rope;
  rope.type = RopeType::kLinear;
  rope.factor = 4.0;
  expect_near(rope_frequencies(small_model(rope), 4096).inverse,
              {0.25, 0.079056941, 0.0250000004, 0.00790569466, 0.00249999994,
               0.000790569466, 0.000250000012, 7.90569466e-05});
}

TEST(Rope, DynamicStretchesOnlyBeyondTheTrainedLength) {
  RopeConfig rope;
  rope.type = RopeType::kDynamic;
  rope.factor = 2.0;
  const ModelConfig config = small_model(rope);
  const std::vector<double> plain =
      rope_frequencies(small_model({}), 1).inverse;
  EXPECT_EQ(rope_frequencies(config, 1).inverse, plain);
  EXPECT_EQ(rope_frequencies(config, 4096).inverse, plain);
  expect_near(rope_frequencies(config, 8192).inverse,
              {1.0, 0.270296127, 0.0730599985, 0.0197478328, 0.00533776265,
               0.00144277664, 0.000389976922, 0.000105409257});
}

TEST(Rope, Llama3KeepsShortWavesAndDividesLongOnes) {
  RopeConfig rope;
  rope.type = RopeType::kLlama3;
  rope.theta = 500000.0;
  rope.factor = 8.0;
  rope.original_max_positions = 1024;
  rope.low_freq_factor = 1.0;
  rope.high_freq_factor = 4.0;
  expect_near(rope_frequencies(small_model(rope), 4096).inverse,
              {1.0, 0.193922758, 0.0376060307, 0.00131256948, 0.000176776681,
               3.42810235e-05, 6.64786967e-06, 1.28917316e-06});
}

TEST(Rope, YarnInterpolatesByPair) {
  RopeConfig rope;
  rope.type = RopeType::kYarn;
  rope.theta = 1000000.0;
  rope.factor = 4.0;
  rope.original_max_positions = 1024;
  const RopeFrequencies f = rope_frequencies(small_model(rope), 4096);
  expect_near(f.inverse,
              {1.0, 0.133370951, 0.0158113893, 0.00140585331, 0.000250000012,
               4.44569851e-05, 7.90569356e-06, 1.40585337e-06});
  EXPECT_DOUBLE_EQ(f.attention_factor, 1.138629436111989);
}

TEST(Rope, YarnHonoursEveryOption) {
  RopeConfig rope;
  rope.type = RopeType::kYarn;
  rope.factor = 16.0;
  rope.original_max_positions = 256;
  rope.beta_fast = 16.0;
  rope.beta_slow = 2.0;
  rope.mscale = 1.0;
  rope.mscale_all_dim = 0.5;
  rope.truncate = false;
  const RopeFrequencies f = rope_frequencies(small_model(rope), 4096);
  expect_near(f.inverse,
              {1.0, 0.285350084, 0.0383304954, 0.00197642366, 0.000624999986,
               0.000197642366, 6.2500003e-05, 1.97642366e-05});
  EXPECT_DOUBLE_EQ(f.attention_factor, 1.121751143713058);
  rope.attention_factor = 1.5;
  EXPECT_EQ(rope_frequencies(small_model(rope), 1).attention_factor, 1.5);
}

TEST(RopeTable, HoldsCosinesThenSinesOfEachPosition) {
  RopeConfig rope;
  rope.type = RopeType::kYarn;
  rope.factor = 4.0;
  rope.original_max_positions = 1024;
  rope.attention_factor = 1.5;
  const ModelConfig config = small_model(rope);
  const RopeFrequencies f = rope_frequencies(config, 300);
  const RopeTable table = build_rope_table(config, 300);
  EXPECT_EQ(table.num_positions, 300U);
  EXPECT_EQ(table.head_dim, 16U);
  ASSERT_EQ(table.values.size(), 300U * 16U);
  for (const size_t position : {0U, 1U, 299U}) {
    for (size_t i = 0; i < 8; ++i) {
      const double angle = static_cast<double>(position) * f.inverse[i];
      const float* row = table.values.data() + position * 16;
      EXPECT_EQ(row[i], static_cast<float>(1.5 * std::cos(angle)));
      EXPECT_EQ(row[8 + i], static_cast<float>(1.5 * std::sin(angle)));
    }
  }
  EXPECT_TRUE(build_rope_table(config, 0).values.empty());
}

}  // namespace
}  // namespace tessera
