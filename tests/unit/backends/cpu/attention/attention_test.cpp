// SPDX-License-Identifier: Apache-2.0
//
// Float attention against plain loops in double.

#include "backends/cpu/kernels/attention/attention.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tessera/error.hpp"
#include "tests/unit/backends/cpu/attention/attention_step.hpp"
#include "tests/unit/backends/cpu/attention/runnable_kernels.hpp"

namespace tessera::cpu {
namespace {

constexpr double kU = 0x1p-24;  // unit roundoff of f32

// Source: Higham, Accuracy and Stability, 2nd ed., section 3.1.
double gamma(double n) { return n * kU / (1.0 - n * kU); }

// One row of the oracle, and what the bound needs to know about it.
struct Exact {
  std::vector<double> out;
  std::vector<double> magnitude;  // the same mean of |v|
  double score_magnitude = 0.0;   // largest sum of |q k scale| of a score
  double max_score = 0.0;         // max |score|
  int64_t num_keys = 0;
};

Exact exact_row(const AttentionStep& step, const AttentionCase& c, int64_t seq,
                int64_t i, int64_t head) {
  const SeqCase& s = c.seqs[static_cast<size_t>(seq)];
  const int64_t kv_head = head / (c.num_q_heads / c.num_kv_heads);
  const int64_t token = step.first_token(seq) + i;
  Exact exact;
  exact.num_keys = s.seq_len;
  std::vector<double> scores(static_cast<size_t>(s.seq_len), -INFINITY);
  for (int64_t j = 0; j < s.seq_len; ++j) {
    if (!step.sees(s, i, j)) continue;
    double sum = 0.0;
    double magnitude = 0.0;
    for (int64_t d = 0; d < c.head_dim; ++d) {
      const double product = double{step.scale()} * step.q(token, head, d) *
                             step.kv(seq, false, kv_head, j, d);
      sum += product;
      magnitude += std::fabs(product);
    }
    scores[static_cast<size_t>(j)] = sum;
    exact.max_score = std::fmax(exact.max_score, std::fabs(sum));
    exact.score_magnitude = std::fmax(exact.score_magnitude, magnitude);
  }
  double total = 0.0;
  const double top = *std::max_element(scores.begin(), scores.end());
  for (double& x : scores) total += x = std::exp(x - top);
  exact.out.assign(static_cast<size_t>(c.head_dim), 0.0);
  exact.magnitude = exact.out;
  for (int64_t j = 0; j < s.seq_len; ++j) {
    const double weight = scores[static_cast<size_t>(j)] / total;
    if (weight == 0.0) continue;
    for (int64_t d = 0; d < c.head_dim; ++d) {
      const double x = weight * step.kv(seq, true, kv_head, j, d);
      exact.out[static_cast<size_t>(d)] += x;
      exact.magnitude[static_cast<size_t>(d)] += std::fabs(x);
    }
  }
  return exact;
}

// A weight exp(s - m) is a product of factors exp(m_t - m_{t+1}) over the tiles
// that follow, and one of the combination of chunks.  Its exponent is off by
// the error of s, and by a rounding of each difference, whose magnitudes add up
// to at most 2 max|s|; each factor's exp (1 ulp, 2u) and product (u) add 3u.
// So weights are off by a factor in exp(+-e), and normalized ones by exp(+-2e).
// Sums over n keys add gamma_n each for numerator and denominator, token or
// channel scale and the division 3u; the result is rounded once to its type.
// Kernels for bf16 round both factors of a product to it, exact ones at worst.
// Source: Higham, section 3.1, for gamma; the perturbation is elementary.
double bound(const Exact& exact, size_t d, uint32_t dtype,
             const AttentionKernel& kernel) {
  const double u16 =
      kernel.isa >= Isa::kAvx512Bf16 ? unit_roundoff(TSR_BF16) : 0.0;
  const auto n = static_cast<double>(exact.num_keys);
  const double tiles = n / kKeyTile + 34;
  // scale, channel or token scale, product, D - 1 sums and 4 to fold lanes
  const double score_error =
      (gamma(static_cast<double>(exact.out.size()) + 8) + (2 + u16) * u16) *
      exact.score_magnitude;
  const double e =
      score_error + 4 * kU * exact.max_score + 3 * kU * tiles + u16;
  const double relative = std::expm1(2 * e) + 2 * gamma(n + tiles) + gamma(3);
  const double before = relative * exact.magnitude[d];
  const double rounding =
      dtype == TSR_F32 ? 0.0 : unit_roundoff(dtype) * std::fabs(exact.out[d]);
  // exp takes what is below 2^-126 as 0; f16 is subnormal below 2^-14.
  return before * 1.01 + rounding + 0x1p-100 +
         (dtype == TSR_F16 ? 0x1p-25 : 0.0);
}

void expect_within_bound(const AttentionStep& step, const AttentionCase& c,
                         const AttentionKernel& kernel) {
  for (size_t s = 0; s < c.seqs.size(); ++s) {
    const auto seq = static_cast<int64_t>(s);
    for (int64_t i = 0; i < c.seqs[s].q_len; ++i) {
      for (int64_t h = 0; h < c.num_q_heads; ++h) {
        const Exact exact = exact_row(step, c, seq, i, h);
        for (size_t d = 0; d < exact.out.size(); ++d) {
          const float actual =
              step.out(step.first_token(seq) + i, h, static_cast<int64_t>(d));
          ASSERT_NEAR(actual, exact.out[d], bound(exact, d, c.dtype, kernel))
              << "seq " << s << " query " << i << " head " << h << " d " << d;
        }
      }
    }
  }
}

std::vector<const AttentionKernel*> float_kernels() {
  std::vector<const AttentionKernel*> kernels;
  for (const AttentionKernel& kernel : runnable_kernels()) {
    if (kernel.kv_format != TSR_KV_I8_HEAD) kernels.push_back(&kernel);
  }
  return kernels;
}

class FloatAttention : public testing::TestWithParam<const AttentionKernel*> {};

TEST_P(FloatAttention, IsWithinTheAnalyticBoundOnAllShapes) {
  for (const AttentionCase& c : attention_cases()) {
    SCOPED_TRACE(testing::Message() << c);
    AttentionStep step(c, GetParam()->kv_format);
    step.run(*GetParam(), 2);
    expect_within_bound(step, c, *GetParam());
    if (HasFatalFailure()) return;
  }
}

TEST_P(FloatAttention, GivesTheSameBitsOnAnyNumberOfThreads) {
  AttentionCase c;
  c.seqs = {{1, 1500}, {33, 257}, {1, 4500}, {2, 600}};
  AttentionStep step(c, GetParam()->kv_format);
  step.run(*GetParam(), 1);
  const std::vector<uint8_t> serial = step.out().bytes();
  for (const uint32_t num_threads : {2u, 3u, 8u}) {
    step.run(*GetParam(), num_threads);
    EXPECT_EQ(step.out().bytes(), serial) << num_threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, FloatAttention,
                         testing::ValuesIn(float_kernels()),
                         [](const auto& row) {
                           return std::string(row.param->name);
                         });

// What `op` is refused with, as "code: message".
std::string error_of(const Attention& op, size_t workspace_bytes) {
  AlignedBytes workspace(workspace_bytes);
  try {
    attention(op, {workspace.data(), workspace.size()}, Parallel{},
              Isa::kScalar);
  } catch (const sdk::Error& error) {
    return std::to_string(error.code()) + ": " + error.what();
  }
  return "no error";
}

constexpr size_t kEnough = 16 << 20;

TEST(Attention, RefusesLengthsAndBlocksThatMakeNoSense) {
  AttentionStep step({}, TSR_KV_F32);
  const int32_t q_starts[] = {0, 1, 8};
  const int32_t backwards[] = {0, 9, 8};
  const int32_t seq_lens[] = {33, 6};
  const int32_t long_seq[] = {81, 17};
  const int32_t table[] = {0, 1, 9, 0, 0, 0, 0, 0, 0, 0};
  const struct {
    std::function<void(Attention&)> spoil;
    const char* message;
  } cases[] = {
      {[&](Attention& op) { op.q_starts = backwards; },
       "3: attention: sequence 0: q_starts go from 0 to 9 in a step of "
       "num_tokens=8"},
      {[&](Attention& op) {
         op.q_starts = q_starts;
         op.seq_lens = seq_lens;
       },
       "3: attention: sequence 1: seq_len=6 is less than q_len=7"},
      {[&](Attention& op) { op.seq_lens = long_seq; },
       "3: attention: sequence 0: seq_len=81 does not fit "
       "max_blocks_per_seq=5 of block_size=16"},
      {[&](Attention& op) { op.block_table = table; },
       "3: attention: sequence 0: block 9 at 2 of its table is not in the pool "
       "of 8"},
  };
  for (const auto& c : cases) {
    Attention op = step.op();
    c.spoil(op);
    EXPECT_EQ(error_of(op, kEnough), c.message);
  }
}

TEST(Attention, RefusesArgumentsThatMakeNoSense) {
  AttentionStep step({}, TSR_KV_I8_CHANNEL);
  const struct {
    std::function<void(Attention&)> spoil;
    const char* message;
  } cases[] = {
      {[](Attention& op) { op.num_q_heads = 7; },
       "3: attention: num_q_heads=7 is not a multiple of num_kv_heads=2"},
      {[](Attention& op) { op.dtype = TSR_I32; },
       "3: attention: dtype=4 of q and out is not f32, f16 or bf16"},
      {[](Attention& op) { op.q_stride = 1; },
       "3: attention: q_stride=1 or out_stride=515 is less than a row of 512"},
      {[](Attention& op) { op.mask = 3; }, "3: attention: mask=3 is unknown"},
      {[](Attention& op) { op.mask = TSR_MASK_SLIDING; },
       "3: attention: window=0 hides every key"},
      {[](Attention& op) { op.kv_scale = nullptr; },
       "3: attention: kv_scale is missing for an int8 cache with static "
       "scales"},
  };
  for (const auto& c : cases) {
    Attention op = step.op();
    c.spoil(op);
    EXPECT_EQ(error_of(op, kEnough), c.message);
  }
}

TEST(Attention, RefusesAWorkspaceThatIsTooSmall) {
  AttentionStep step({}, TSR_KV_F32);
  EXPECT_NE(error_of(step.op(), 1024).find("a workspace of 1024 bytes"),
            std::string::npos);
}

TEST(Attention, GoesByTilesWhereQueriesAreBf16OrCodes) {
  const auto name_of = [](uint32_t kv_format, uint32_t dtype) {
    return std::string(
        select_attention_kernel(kv_format, dtype, Isa::kAmx)->name);
  };
  EXPECT_EQ(name_of(TSR_KV_BF16, TSR_BF16), "attention_paged_bf16__amx");
  EXPECT_EQ(name_of(TSR_KV_I8_TOKEN, TSR_BF16), "attention_paged_i8t__amx");
  EXPECT_EQ(name_of(TSR_KV_I8_CHANNEL, TSR_BF16), "attention_paged_i8c__amx");
  EXPECT_EQ(name_of(TSR_KV_I8_HEAD, TSR_F32), "attention_fa3_i8h__amx");
  // Queries of more bits are not rounded.
  EXPECT_EQ(name_of(TSR_KV_BF16, TSR_F32), "attention_paged_bf16__avx512");
}

// A sequence gives the same bits alone and in a batch.
TEST(Attention, DoesNotDependOnTheRestOfTheBatch) {
  AttentionCase batch;
  batch.dtype = TSR_BF16;
  const AttentionKernel& kernel =
      *select_attention_kernel(TSR_KV_BF16, batch.dtype, best_isa());
  batch.seqs = {{3, 900}, {1, 40}, {33, 257}};
  AttentionStep step(batch, TSR_KV_BF16);
  step.run(kernel, 2);
  const std::vector<uint8_t> together = step.out().bytes();
  // Sequence 0 alone writes its rows again.
  Attention only = step.op();
  only.num_seqs = 1;
  AlignedBytes workspace(kEnough);
  run_attention(kernel, only, {workspace.data(), workspace.size()}, Parallel{});
  EXPECT_EQ(step.out().bytes(), together);
}

}  // namespace
}  // namespace tessera::cpu
