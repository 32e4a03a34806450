// SPDX-License-Identifier: Apache-2.0
//
// Integer attention (fa3), bit for bit as numerics.md section 2 has it.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tessera/error.hpp"
#include "tests/unit/backends/cpu/attention/attention_step.hpp"
#include "tests/unit/backends/cpu/attention/runnable_kernels.hpp"

namespace tessera::cpu {
namespace {

int64_t quantized(float x, float inv) {
  const float q = std::nearbyint(x * inv);
  return static_cast<int64_t>(std::fmin(std::fmax(q, -127.0f), 127.0f));
}

// One row, by the definition.
std::vector<float> fa3_row(const AttentionStep& step, const AttentionCase& c,
                           int64_t seq, int64_t i, int64_t head) {
  const SeqCase& s = c.seqs[static_cast<size_t>(seq)];
  const int64_t kv_head = head / (c.num_q_heads / c.num_kv_heads);
  const int64_t token = step.first_token(seq) + i;
  std::vector<int64_t> scores;
  int64_t top = INT64_MIN;
  for (int64_t j = 0; j < s.seq_len; ++j) {
    int64_t sum = 0;
    for (int64_t d = 0; d < c.head_dim; ++d) {
      sum += quantized(step.q(token, head, d), step.q_inv(head)) *
             static_cast<int64_t>(step.code(seq, false, kv_head, j, d));
    }
    scores.push_back(sum);
    if (step.sees(s, i, j)) top = std::max(top, sum);
  }
  int64_t total = 0;
  std::vector<int64_t> sums(static_cast<size_t>(c.head_dim));
  for (int64_t j = 0; j < s.seq_len; ++j) {
    if (!step.sees(s, i, j)) continue;
    int64_t p = 0;
    for (int k = 1; k <= 127; ++k) {
      if (top - scores[static_cast<size_t>(j)] <= step.threshold(head, k)) ++p;
    }
    total += p;
    for (int64_t d = 0; d < c.head_dim; ++d) {
      sums[static_cast<size_t>(d)] +=
          p * static_cast<int64_t>(step.code(seq, true, kv_head, j, d));
    }
  }
  const float factor =
      step.kv_scale(c.num_kv_heads + kv_head) / static_cast<float>(total);
  std::vector<float> out;
  for (const int64_t sum : sums) {
    out.push_back(rounded(c.dtype, static_cast<float>(sum) * factor));
  }
  return out;
}

void expect_same_bits(const AttentionStep& step, const AttentionCase& c) {
  for (size_t s = 0; s < c.seqs.size(); ++s) {
    const auto seq = static_cast<int64_t>(s);
    for (int64_t i = 0; i < c.seqs[s].q_len; ++i) {
      for (int64_t h = 0; h < c.num_q_heads; ++h) {
        const std::vector<float> row = fa3_row(step, c, seq, i, h);
        for (size_t d = 0; d < row.size(); ++d) {
          expect_same(
              step.out(step.first_token(seq) + i, h, static_cast<int64_t>(d)),
              row[d]);
        }
      }
    }
  }
}

std::vector<const AttentionKernel*> integer_kernels() {
  std::vector<const AttentionKernel*> kernels;
  for (const AttentionKernel& kernel : runnable_kernels()) {
    if (kernel.kv_format == TSR_KV_I8_HEAD) kernels.push_back(&kernel);
  }
  return kernels;
}

class Fa3 : public testing::TestWithParam<const AttentionKernel*> {};

TEST_P(Fa3, HasTheBitsOfTheDefinitionOnAllShapes) {
  for (const AttentionCase& c : attention_cases()) {
    SCOPED_TRACE(testing::Message() << c);
    AttentionStep step(c, TSR_KV_I8_HEAD);
    step.run(*GetParam(), 2);
    expect_same_bits(step, c);
    if (HasFatalFailure()) return;
  }
}

TEST_P(Fa3, GivesTheSameBitsOnAnyNumberOfThreads) {
  AttentionCase c;
  c.seqs = {{1, 1500}, {33, 257}, {2, 600}};
  AttentionStep step(c, TSR_KV_I8_HEAD);
  step.run(*GetParam(), 1);
  const std::vector<uint8_t> serial = step.out().bytes();
  step.run(*GetParam(), 7);
  EXPECT_EQ(step.out().bytes(), serial);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Fa3, testing::ValuesIn(integer_kernels()),
                         [](const auto& row) {
                           return std::string(row.param->name);
                         });

TEST(IntegerSums, RefusesMoreKeysThanInt32SumsHold) {
  AttentionStep step({}, TSR_KV_I8_HEAD);
  const int32_t seq_lens[] = {133001, 17};
  const std::vector<int32_t> table(20000, 0);
  Attention op = step.op();
  op.seq_lens = seq_lens;
  op.block_table = table.data();
  op.max_blocks_per_seq = 10000;
  try {
    attention(op, {}, Parallel{}, Isa::kScalar);
    FAIL() << "not refused";
  } catch (const sdk::Error& error) {
    EXPECT_EQ(error.code(), TSR_UNIMPLEMENTED);
    EXPECT_STREQ(error.what(),
                 "attention: sequence 0: 133001 visible keys are more than "
                 "int32 sums hold, 133000");
  }
}

}  // namespace
}  // namespace tessera::cpu
