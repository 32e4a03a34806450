// SPDX-License-Identifier: Apache-2.0

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "framework/conformance/reference/attention/attention.hpp"
#include "tests/unit/framework/conformance/reference/paged_step.hpp"

namespace tessera::reference {
namespace {

using testing::HasSubstr;

constexpr float kQueryScale = 0.025f;

// A step of I8_HEAD with the constants that the host makes.
struct IntegerStep {
  PagedStep step;
  std::vector<float> q_inv;
  std::vector<int32_t> thresholds;
};

IntegerStep make_integer_step(uint32_t num_q_heads, uint32_t num_kv_heads,
                              uint32_t head_dim,
                              const std::vector<StepSequence>& sequences) {
  IntegerStep result{
      make_step(TSR_KV_I8_HEAD, num_q_heads, num_kv_heads, head_dim, sequences),
      std::vector<float>(num_q_heads, 1.0f / kQueryScale),
      std::vector<int32_t>(size_t{num_q_heads} * 127)};
  for (uint32_t h = 0; h < num_q_heads; ++h) {
    const uint32_t kv_head = h / (num_q_heads / num_kv_heads);
    const double c = double{kQueryScale} * result.step.kv_scale[kv_head] *
                     result.step.attention.scale;
    format::probability_thresholds(
        c, std::span<int32_t, 127>(&result.thresholds[size_t{h} * 127], 127));
  }
  result.step.attention.q_inv = result.q_inv.data();
  result.step.attention.thresholds = result.thresholds.data();
  return result;
}

int32_t clamped_code(float x, float inv) {
  const float product = x * inv;
  return static_cast<int32_t>(
      std::clamp(std::nearbyint(product), -127.0f, 127.0f));
}

// The output by the definition of a code: the rounded 127 exp(-c d).
TEST(IntegerAttention, IsTheRoundedExponentialOfExactScores) {
  IntegerStep made = make_integer_step(4, 2, 6, {{3, 7}, {1, 9}});
  PagedStep& step = made.step;
  std::vector<float> out(step.q_size());
  const Status status = attention_fa3(step.attention, step.pool(), out.data());
  ASSERT_TRUE(status.ok()) << status.message();

  size_t row = 0;
  for (uint32_t s = 0; s < 2; ++s) {
    const auto [q_len, seq_len] = step.sequences[s];
    for (uint32_t t = 0; t < q_len; ++t) {
      for (uint32_t h = 0; h < 4; ++h, ++row) {
        const uint32_t kv_head = h / 2;
        const uint32_t visible = seq_len - q_len + t + 1;
        std::vector<int32_t> scores(visible);
        for (uint32_t j = 0; j < visible; ++j) {
          for (uint32_t i = 0; i < 6; ++i) {
            scores[j] += clamped_code(step.q[row * 6 + i], made.q_inv[h]) *
                         clamped_code(step.k[s][(j * 2 + kv_head) * 6 + i],
                                      step.kv_inv[kv_head]);
          }
        }
        const int32_t max = *std::max_element(scores.begin(), scores.end());
        const double c =
            double{kQueryScale} * step.kv_scale[kv_head] * step.attention.scale;
        int32_t sum = 0;
        std::vector<int32_t> acc(6);
        for (uint32_t j = 0; j < visible; ++j) {
          const auto code = static_cast<int32_t>(
              std::lround(127.0 * std::exp(-c * (max - scores[j]))));
          sum += code;
          for (uint32_t i = 0; i < 6; ++i) {
            acc[i] += code * clamped_code(step.v[s][(j * 2 + kv_head) * 6 + i],
                                          step.kv_inv[2 + kv_head]);
          }
        }
        const float scale =
            step.kv_scale[2 + kv_head] / static_cast<float>(sum);
        for (uint32_t i = 0; i < 6; ++i) {
          ASSERT_EQ(out[row * 6 + i], static_cast<float>(acc[i]) * scale);
        }
      }
    }
  }
}

// One key, or equal ones: every code is 127 and the output is v as stored.
TEST(IntegerAttention, OfOneKeyIsItsValue) {
  IntegerStep made = make_integer_step(1, 1, 4, {{1, 1}});
  PagedStep& step = made.step;
  std::vector<float> out(4);
  ASSERT_TRUE(attention_fa3(step.attention, step.pool(), out.data()).ok());
  for (uint32_t i = 0; i < 4; ++i) {
    const int32_t code = clamped_code(step.v[0][i], step.kv_inv[1]);
    const float scale = step.kv_scale[1] / 127.0f;
    EXPECT_EQ(out[i], static_cast<float>(127 * code) * scale);
  }
}

TEST(IntegerAttention, LooksLikeFloatAttention) {
  IntegerStep made = make_integer_step(4, 2, 16, {{5, 20}, {1, 31}});
  PagedStep& step = made.step;
  std::vector<float> out(step.q_size());
  std::vector<float> expected(step.q_size());
  ASSERT_TRUE(attention_fa3(step.attention, step.pool(), out.data()).ok());
  ASSERT_TRUE(attention(step.attention, step.pool(), expected.data()).ok());
  double error = 0.0;
  double norm = 0.0;
  for (size_t i = 0; i < out.size(); ++i) {
    error += std::pow(out[i] - expected[i], 2);
    norm += std::pow(expected[i], 2);
  }
  // q codes are off by 0.0125 (and cut at 3.2), probabilities by 1/254.
  EXPECT_LT(std::sqrt(error / norm), 0.05);
}

TEST(IntegerAttention, QueriesThatAreNotFiniteGiveNaN) {
  IntegerStep made = make_integer_step(2, 2, 4, {{1, 3}});
  made.step.q[5] = INFINITY;
  std::vector<float> out(8);
  ASSERT_TRUE(
      attention_fa3(made.step.attention, made.step.pool(), out.data()).ok());
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(std::isnan(out[i]), i >= 4);
}

TEST(IntegerAttention, RefusesOtherCachesAndMissingConstants) {
  PagedStep token = make_step(TSR_KV_I8_TOKEN, 2, 2, 4, {{1, 3}});
  std::vector<float> out(8);
  EXPECT_THAT(
      attention_fa3(token.attention, token.pool(), out.data()).message(),
      HasSubstr("is not i8_head"));
  IntegerStep made = make_integer_step(2, 2, 4, {{1, 3}});
  made.step.attention.thresholds = nullptr;
  EXPECT_THAT(attention_fa3(made.step.attention, made.step.pool(), out.data())
                  .message(),
              HasSubstr("no thresholds"));
}

}  // namespace
}  // namespace tessera::reference
