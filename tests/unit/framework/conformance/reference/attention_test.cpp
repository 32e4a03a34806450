// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/attention/attention.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "framework/conformance/reference/bounds.hpp"
#include "framework/tensor/half.hpp"
#include "tests/unit/framework/conformance/reference/paged_step.hpp"

namespace tessera::reference {
namespace {

using testing::HasSubstr;

bool is_visible(const Attention& p, int position, int key) {
  if (p.mask == TSR_MASK_FULL) return true;
  if (key > position) return false;
  return p.mask == TSR_MASK_CAUSAL ||
         key > position - static_cast<int>(p.window);
}

// Attention of one token and head from contiguous k and v, in one streaming
// pass with a running maximum: another road to the same numbers.
std::vector<double> stream(const PagedStep& step, uint32_t s, uint32_t t,
                           uint32_t head) {
  const Attention& p = step.attention;
  const uint32_t D = step.desc.head_dim;
  const uint32_t kv_head = head * step.desc.num_kv_heads / p.num_q_heads;
  const auto [q_len, seq_len] = step.sequences[s];
  const auto row = (static_cast<size_t>(step.q_starts[s]) + t) * p.num_q_heads;
  const float* q = &step.q[(row + head) * D];
  double max = -INFINITY;
  double sum = 0.0;
  std::vector<double> out(D);
  for (uint32_t j = 0; j < seq_len; ++j) {
    const int position = static_cast<int>(seq_len - q_len + t);
    if (!is_visible(p, position, static_cast<int>(j))) continue;
    const size_t cached = (j * step.desc.num_kv_heads + kv_head) * size_t{D};
    double score = 0.0;
    for (uint32_t i = 0; i < D; ++i) {
      score += double{q[i]} * step.k[s][cached + i];
    }
    score *= p.scale;
    const double new_max = std::max(max, score);
    const double keep = std::exp(max - new_max);
    const double weight = std::exp(score - new_max);
    for (uint32_t i = 0; i < D; ++i) {
      out[i] = out[i] * keep + weight * step.v[s][cached + i];
    }
    sum = sum * keep + weight;
    max = new_max;
  }
  for (double& value : out) value /= sum;
  return out;
}

// Calls visit(sequence, token, head, first element of out).
template <typename Visit>
void for_each_head(const PagedStep& step, const Visit& visit) {
  size_t first = 0;
  for (uint32_t s = 0; s < step.sequences.size(); ++s) {
    for (uint32_t t = 0; t < step.sequences[s].q_len; ++t) {
      for (uint32_t h = 0; h < step.attention.num_q_heads; ++h) {
        visit(s, t, h, first);
        first += step.desc.head_dim;
      }
    }
  }
}

struct MaskCase {
  uint32_t mask;
  uint32_t window;
};

class AttentionMask : public testing::TestWithParam<MaskCase> {};

// Prefill, a chunk after a prefix, decode, an idle sequence; lengths below, at
// and above a block of 4; two query heads per KV head.
TEST_P(AttentionMask, EqualsAStreamingPassOverContiguousMemory) {
  PagedStep step = make_step(TSR_KV_F32, 4, 2, 6,
                             {{5, 5}, {3, 9}, {1, 8}, {0, 3}, {1, 1}, {4, 32}});
  step.attention.mask = GetParam().mask;
  step.attention.window = GetParam().window;
  std::vector<double> out(step.q_size());
  const Status status = attention(step.attention, step.pool(), out.data());
  ASSERT_TRUE(status.ok()) << status.message();
  for_each_head(step, [&](uint32_t s, uint32_t t, uint32_t h, size_t first) {
    const std::vector<double> expected = stream(step, s, t, h);
    for (size_t i = 0; i < expected.size(); ++i) {
      // Two orders of at most 32 sums in double.
      ASSERT_NEAR(out[first + i], expected[i], 1e-13)
          << "sequence " << s << " token " << t << " head " << h;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(All, AttentionMask,
                         testing::Values(MaskCase{TSR_MASK_CAUSAL, 0},
                                         MaskCase{TSR_MASK_FULL, 0},
                                         MaskCase{TSR_MASK_SLIDING, 1},
                                         MaskCase{TSR_MASK_SLIDING, 4},
                                         MaskCase{TSR_MASK_SLIDING, 100}));

// A format that moves k and v by at most e moves a score by scale * sum |q| e
// and so the output by at most e + 2 max |v| of that.  Static scales of at
// least 0.02 cut values off at 2.54, and at most 4 occur.
TEST(Attention, ReadsEveryKvFormat) {
  const std::pair<uint32_t, double> formats[] = {
      {TSR_KV_F16, 4 * 0x1p-11},    {TSR_KV_BF16, 4 * 0x1p-8},
      {TSR_KV_I8_TOKEN, 2.0 / 127}, {TSR_KV_I8_CHANNEL, 4 - 2.54},
      {TSR_KV_I8_HEAD, 4 - 2.54},
  };
  for (const auto& [format, step_size] : formats) {
    PagedStep step = make_step(format, 2, 2, 8, {{3, 7}, {1, 12}});
    std::vector<double> out(step.q_size());
    ASSERT_TRUE(attention(step.attention, step.pool(), out.data()).ok());
    double error = 0.0;
    for_each_head(step, [&](uint32_t s, uint32_t t, uint32_t h, size_t first) {
      const std::vector<double> expected = stream(step, s, t, h);
      for (size_t i = 0; i < expected.size(); ++i) {
        error = std::max(error, std::fabs(out[first + i] - expected[i]));
      }
    });
    EXPECT_GT(error, 0.0);
    // |q|, |k| and |v| stay below 4 here; head_dim is 8.
    EXPECT_LT(error, step_size * (1 + 2 * 0.3 * 8 * 4 * 4)) << format;
  }
}

// Static scales enter as k = code * scale: doubling both scales and codes'
// inverses must not matter, doubling kv_scale alone doubles v's share.
TEST(Attention, StaticScalesMultiplyTheCodes) {
  for (const uint32_t format : {TSR_KV_I8_CHANNEL, TSR_KV_I8_HEAD}) {
    PagedStep step = make_step(format, 2, 2, 8, {{2, 6}});
    std::vector<double> out(step.q_size());
    ASSERT_TRUE(attention(step.attention, step.pool(), out.data()).ok());
    const size_t half = step.kv_scale.size() / 2;
    for (size_t i = half; i < step.kv_scale.size(); ++i) {
      step.kv_scale[i] *= 2.0f;
    }
    std::vector<double> doubled(step.q_size());
    ASSERT_TRUE(attention(step.attention, step.pool(), doubled.data()).ok());
    for (size_t i = 0; i < out.size(); ++i) {
      EXPECT_DOUBLE_EQ(doubled[i], 2.0 * out[i]);
    }
  }
}

TEST(Attention, AFloatResultIsTheDoubleRoundedOnce) {
  PagedStep step = make_step(TSR_KV_F16, 3, 1, 5, {{2, 6}});
  std::vector<double> exact(step.q_size());
  std::vector<float> rounded(step.q_size());
  ASSERT_TRUE(attention(step.attention, step.pool(), exact.data()).ok());
  ASSERT_TRUE(attention(step.attention, step.pool(), rounded.data()).ok());
  for (size_t i = 0; i < exact.size(); ++i) {
    EXPECT_EQ(rounded[i], static_cast<float>(exact[i]));
  }
}

double half(double value) {
  return f16_to_f32(f32_to_f16(static_cast<float>(value)));
}

// One token and head that see all keys, from contiguous k and v, with factors
// in f16.
std::vector<double> of_halves(const PagedStep& step, uint32_t s, uint32_t t,
                              uint32_t head) {
  const uint32_t D = step.desc.head_dim;
  const uint32_t kv_heads = step.desc.num_kv_heads;
  const uint32_t num_heads = step.attention.num_q_heads;
  const size_t first_k = size_t{head * kv_heads / num_heads} * D;
  const size_t first_q =
      ((static_cast<size_t>(step.q_starts[s]) + t) * num_heads + head) * D;
  std::vector<double> scores(step.sequences[s].seq_len);
  for (size_t j = 0; j < scores.size(); ++j) {
    for (uint32_t i = 0; i < D; ++i) {
      scores[j] += half(step.q[first_q + i]) *
                   half(step.k[s][j * kv_heads * D + first_k + i]);
    }
    scores[j] *= step.attention.scale;
  }
  const double max = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  std::vector<double> out(D);
  for (size_t j = 0; j < scores.size(); ++j) {
    const double weight = std::exp(scores[j] - max);
    sum += weight;
    for (uint32_t i = 0; i < D; ++i) {
      out[i] += half(weight) * half(step.v[s][j * kv_heads * D + first_k + i]);
    }
  }
  for (double& value : out) value /= sum;
  return out;
}

TEST(Attention, FactorsOfSixteenBitsAreRoundedAndSumsAreNot) {
  PagedStep step = make_step(TSR_KV_F32, 4, 2, 6, {{5, 9}, {1, 1}, {4, 32}});
  step.attention.mask = TSR_MASK_FULL;
  std::vector<double> exact(step.q_size());
  std::vector<double> bounds(step.q_size());
  ASSERT_TRUE(attention(step.attention, step.pool(), exact.data()).ok());
  ASSERT_TRUE(attention_bound(step.attention, step.pool(),
                              {TSR_ERROR_HALF_PRODUCTS, TSR_F32, TSR_F16},
                              bounds.data())
                  .ok());
  step.attention.factor_dtype = TSR_F16;
  std::vector<double> out(step.q_size());
  ASSERT_TRUE(attention(step.attention, step.pool(), out.data()).ok());
  for_each_head(step, [&](uint32_t s, uint32_t t, uint32_t h, size_t first) {
    const std::vector<double> expected = of_halves(step, s, t, h);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(out[first + i], expected[i], 1e-13);  // two orders of sums
      EXPECT_LE(std::fabs(out[first + i] - exact[first + i]),
                bounds[first + i]);
    }
  });
  EXPECT_NE(out, exact);
}

TEST(Attention, PortableExponentialsLieWithinTheBoundAndDiffer) {
  PagedStep step = make_step(TSR_KV_F32, 4, 2, 6, {{5, 9}, {1, 1}, {4, 32}});
  std::vector<double> exact(step.q_size());
  std::vector<double> bounds(step.q_size());
  ASSERT_TRUE(attention(step.attention, step.pool(), exact.data()).ok());
  ASSERT_TRUE(attention_bound(step.attention, step.pool(),
                              {TSR_ERROR_DOT, TSR_F32, TSR_F32}, bounds.data())
                  .ok());
  step.attention.sum_order = SumOrder::kF32Ascending;
  std::vector<float> ascending(step.q_size());
  ASSERT_TRUE(attention(step.attention, step.pool(), ascending.data()).ok());
  step.attention.portable_softmax = true;
  std::vector<float> portable(step.q_size());
  ASSERT_TRUE(attention(step.attention, step.pool(), portable.data()).ok());
  for (size_t i = 0; i < exact.size(); ++i) {
    ASSERT_LE(std::fabs(portable[i] - exact[i]), bounds[i]);
  }
  EXPECT_NE(portable, ascending);
}

TEST(Attention, RefusesWhatDoesNotFitTogether) {
  struct Case {
    void (*change)(PagedStep&);
    const char* message;
  };
  const Case cases[] = {
      {[](PagedStep& s) { s.attention.num_q_heads = 3; },
       "num_q_heads=3 is not a multiple of num_kv_heads=2"},
      {[](PagedStep& s) { s.attention.mask = 7; }, "mask 7 is unknown"},
      {[](PagedStep& s) { s.attention.mask = TSR_MASK_SLIDING; }, "window=0"},
      {[](PagedStep& s) { s.seq_lens[1] = 2; },
       "sequence 1: seq_len 2 with 3 tokens and room for 32"},
      {[](PagedStep& s) { s.seq_lens[1] = 33; }, "sequence 1: seq_len 33"},
      {[](PagedStep& s) { s.q_starts[2] = 1; }, "sequence 1: q_starts 2 and 1"},
      {[](PagedStep& s) { s.block_table[9] = 16; },
       "sequence 1: block 16 of 16"},
      {[](PagedStep& s) { s.block_table[8] = -1; },
       "sequence 1: block -1 of 16"},
      {[](PagedStep& s) { s.desc.format = TSR_KV_I8_HEAD; }, "no kv_scale"},
  };
  for (const Case& item : cases) {
    PagedStep step = make_step(TSR_KV_F32, 2, 2, 4, {{2, 2}, {3, 8}});
    item.change(step);
    std::vector<double> out(1000);
    const Status status = attention(step.attention, step.pool(), out.data());
    ASSERT_FALSE(status.ok()) << item.message;
    EXPECT_THAT(status.message(), HasSubstr(item.message));
  }
}

// Unused entries of the block table are never read.
TEST(Attention, IgnoresUnusedBlocks) {
  PagedStep step = make_step(TSR_KV_F32, 2, 2, 4, {{2, 5}});
  for (size_t i = 2; i < 8; ++i) step.block_table[i] = -7;
  std::vector<double> out(step.q_size());
  EXPECT_TRUE(attention(step.attention, step.pool(), out.data()).ok());
}

}  // namespace
}  // namespace tessera::reference
