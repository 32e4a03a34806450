// SPDX-License-Identifier: Apache-2.0
//
// The cost model against the machine, over random shapes; both are simulated
// time, so the figures never change.

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {
namespace {

class RandomProblems {
 public:
  Problem next() {
    switch (rng_() % 4) {
      case 0:
        return small_op();
      case 1:
        return attention();
      default:
        return gemm();
    }
  }

 private:
  int64_t pick(std::initializer_list<int64_t> values) {
    return *(values.begin() + rng_() % values.size());
  }
  Problem gemm() {
    constexpr Scheme kSchemes[] = {Scheme::kW16A16, Scheme::kInt8,
                                   Scheme::kW8A8, Scheme::kW8A8Dynamic,
                                   Scheme::kW4A16};
    Gemm one;
    one.M = pick({1, 4, 16, 48, 128, 512, 1000});
    one.N = pick({1024, 3000, 4096, 6144, 12288});
    one.K = pick({1024, 2048, 4096, 5120});
    one.scheme = kSchemes[rng_() % std::size(kSchemes)];
    return one;
  }
  Problem small_op() {
    SmallOp op;
    op.kind = static_cast<SmallKind>(rng_() % kNumSmallKinds);
    op.rows = pick({1, 16, 512, 2048});
    op.columns = pick({1024, 4096, 12288});
    return op;
  }
  Problem attention() {
    Attention one;
    const int64_t cached = pick({1024, 4096});
    const bool is_prefill = rng_() % 2 == 0;
    one.q_lens.assign(is_prefill ? 1 : 4, is_prefill ? cached : 1);
    one.seq_lens.assign(one.q_lens.size(), cached);
    one.num_q_heads = 32;
    one.num_kv_heads = pick({4, 8, 32});
    return one;
  }

  std::mt19937 rng_{42};
};

TEST(Estimate, LiesNearTheMachineOverRandomShapes) {
  int close = 0;
  int all = 0;
  double sum = 0;
  for (const char* name : {"910b1", "910b4", "310p"}) {
    const Profile profile = load_profile(name);
    RandomProblems problems;
    for (int i = 0; i < 40; ++i) {
      const Problem problem = problems.next();
      const double machine = simulate(profile, problem).cycles;
      const double model = estimate(profile, problem).cycles;
      const double error = std::abs(model / machine - 1);
      close += error <= 0.15 ? 1 : 0;
      sum += error;
      ++all;
    }
  }
  EXPECT_GE(close, all * 94 / 100);
  EXPECT_LE(sum / all, 0.05);
}

// Shapes that no list was made for; a third off is the worst to be had.
TEST(Estimate, IsNeverFarOffOnAnyChip) {
  std::mt19937 rng(42);
  const auto below = [&](int64_t most) {
    return 1 + static_cast<int64_t>(rng() % static_cast<uint32_t>(most));
  };
  int close = 0;
  int all = 0;
  for (const char* name : {"910b1", "910b4", "910c", "310p", "310b1"}) {
    const Profile profile = load_profile(name);
    for (int i = 0; i < 24; ++i) {
      Gemm gemm;
      gemm.M = below(i % 2 == 0 ? 16 : 700);
      gemm.N = below(8000);
      gemm.K = 64 + below(6000);
      gemm.scheme = i % 3 == 0   ? Scheme::kInt8
                    : i % 3 == 1 ? Scheme::kW16A16
                                 : Scheme::kW8A8Dynamic;
      gemm.layout = i % 4 < 2 ? WeightLayout::kNd : WeightLayout::kNz;
      const double machine = simulate(profile, gemm).cycles;
      const double error = estimate(profile, gemm).cycles / machine - 1;
      ASSERT_LT(std::abs(error), 0.33) << name << ' ' << key_of(gemm);
      close += std::abs(error) <= 0.15 ? 1 : 0;
      ++all;
    }
  }
  EXPECT_GE(close, all * 95 / 100);
}

struct MixedWorks {
  const char* what;
  int64_t heads;
  int64_t kv_heads;
  int64_t cores;
  KvType kv;
  std::vector<int64_t> q_lens;
  std::vector<int64_t> seq_lens;
};

// Works of a core that are not alike: what the mean of them would take is up to
// half more, or less, than what they take one after another.
TEST(Estimate, FollowsWorksOfUnlikeRowsAndKeys) {
  const MixedWorks all[] = {
      {"few rows of most keys", 64, 32, 1, KvType::kFa3, {84, 53}, {144, 4010}},
      {"a widened cache, read twice", 8, 2, 1, KvType::kS8, {45}, {1369}},
      {"many rows beside many tiles", 8, 8, 22, KvType::kF16, {145}, {145}},
      {"few keys of the longest", 2, 1, 0, KvType::kFa3, {159}, {214}},
      {"long works of few rows",
       16,
       8,
       0,
       KvType::kF16,
       {18, 447},
       {1605, 585}},
      {"one core, all kinds", 16, 4, 1, KvType::kF16, {1, 300}, {3000, 300}},
  };
  for (const MixedWorks& one : all) {
    Attention attention;
    attention.num_q_heads = one.heads;
    attention.num_kv_heads = one.kv_heads;
    attention.qk_dim = attention.v_dim = 80;
    attention.cores = one.cores;
    attention.kv = one.kv;
    attention.q_lens = one.q_lens;
    attention.seq_lens = one.seq_lens;
    const Profile profile = load_profile("910b1");
    const double machine = simulate(profile, attention).cycles;
    EXPECT_NEAR(estimate(profile, attention).cycles / machine, 1, 0.15)
        << one.what;
  }
}

TEST(Estimate, RefusesWhatTheMachineRefuses) {
  Gemm gemm;
  gemm.M = gemm.N = gemm.K = 64;
  gemm.scheme = Scheme::kBf16;
  EXPECT_ANY_THROW(estimate(load_profile("310p"), gemm));
  EXPECT_ANY_THROW(simulate(load_profile("310p"), gemm));
}

}  // namespace
}  // namespace tessera::npu
