// SPDX-License-Identifier: Apache-2.0
//
// Shapes that end off the alignment of memory: whatever tilings the compiler
// finds for them, they are not faster than the aligned ones.

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

#include "backends/npu_sim/compiler/gemm/lowering.hpp"
#include "backends/npu_sim/compiler/gemm/trials.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {
namespace {

class AlignedProducts {
 public:
  Gemm next() {
    Gemm gemm;
    gemm.M = static_cast<int64_t>(std::exp2(0.01 * below(1100)));
    gemm.N = multiple(8192);
    gemm.K = multiple(4096);
    gemm.scheme = below(2) == 0 ? Scheme::kW16A16 : Scheme::kInt8;
    gemm.layout = below(2) == 0 ? WeightLayout::kNz : WeightLayout::kNd;
    gemm.weight_is_nk = below(2) == 0;
    return gemm;
  }

 private:
  int below(int count) {
    return static_cast<int>(rng_() % static_cast<uint32_t>(count));
  }
  // Of whole fractals or lines of L2, up to `most`.
  int64_t multiple(int most) {
    const int unit = 32 << below(7);
    return int64_t{unit} * (1 + below(most / unit));
  }

  std::mt19937 rng_{42};
};

// Of the same tiling, two things may still be a little faster: another core
// brings what several read; and on 310P and 310B, whose L2 is small, slower
// reads leave DRAM the time to take results that crowded inputs out of L2.
TEST(Alignment, OneColumnOrOneKLessIsNotFaster) {
  for (const char* chip : {"910b1", "910b4", "950", "310p", "310b1"}) {
    const Profile profile = load_profile(chip);
    const double at_most = profile.unified_cores ? 0.025 : 0.01;
    AlignedProducts products;
    int faster = 0;
    constexpr int kProducts = 40;
    for (int i = 0; i < kProducts; ++i) {
      const Gemm even = products.next();
      const double aligned = simulate(profile, even).cycles;
      for (int64_t Gemm::*side : {&Gemm::N, &Gemm::K}) {
        Gemm odd = even;
        --(odd.*side);
        const double gain = 1 - simulate(profile, odd).cycles / aligned;
        EXPECT_LE(gain, at_most) << chip << ' ' << key_of(odd);
        faster += gain > 0.002 ? 1 : 0;
      }
    }
    EXPECT_LE(faster, profile.unified_cores ? kProducts / 10 : 1) << chip;
  }
}

// The sides that people try.
TEST(Alignment, FamousSidesShowIt) {
  for (const char* chip : {"910b1", "910b4", "310p", "310b1"}) {
    const Profile profile = load_profile(chip);
    const double at_most = profile.unified_cores ? 0.025 : 0.01;
    for (const int64_t N : {1024, 2048, 4096, 8192}) {
      for (const WeightLayout layout : {WeightLayout::kNd, WeightLayout::kNz}) {
        Gemm even;
        even.M = 2048;
        even.N = N;
        even.K = 4096;
        even.layout = layout;
        even.weight_is_nk = false;  // rows of W are as long as N
        Gemm odd = even;
        odd.N = N - 1;
        Gemm next = even;
        next.N = N + 1;
        const double aligned = simulate(profile, even).cycles;
        EXPECT_GE(simulate(profile, odd).cycles, (1 - at_most) * aligned)
            << chip << ' ' << key_of(odd);
        EXPECT_GE(simulate(profile, next).cycles, (1 - at_most) * aligned)
            << chip << ' ' << key_of(next);
        if (layout == WeightLayout::kNz || profile.unified_cores) continue;
        EXPECT_GE(simulate(profile, odd).cycles, 1.05 * aligned)
            << chip << ' ' << key_of(odd);
      }
    }
  }
}

// Its products once gained 2 % where they are cut.
TEST(Alignment, LongProductsOf310pShowIt) {
  const Profile profile = load_profile("310p");
  for (const int64_t M : {2048, 4096}) {
    Gemm even;
    even.M = M;
    even.N = even.K = 4096;
    even.layout = WeightLayout::kNz;
    Gemm odd = even;
    odd.N = 4095;
    EXPECT_GT(simulate(profile, odd).cycles, simulate(profile, even).cycles)
        << M;
  }
}

TEST(Alignment, ChosenTilingIsTheFastestOfThoseThatPromiseMost) {
  const Profile profile = load_profile("310p");
  Gemm gemm;
  gemm.M = 2048;
  gemm.N = 1024;
  gemm.K = 4096;
  const double chosen = simulate(profile, gemm).cycles;
  for (const GemmPlan& plan :
       promising_plans(profile, gemm, {gemm.M}, {}, {3, 1.1})) {
    EXPECT_LE(chosen,
              run_stream(profile, lower_gemm(profile, plan), false).cycles);
  }
}

TEST(Alignment, SearchGivesNoMoreThanAskedForTheBestFirst) {
  const Profile profile = load_profile("910b1");
  Gemm gemm;
  gemm.M = 2048;
  gemm.N = 4096;
  gemm.K = 4096;
  const auto all = promising_plans(profile, gemm, {gemm.M}, {}, {5, 1.5});
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(promising_plans(profile, gemm, {gemm.M}, {}, {3, 1.5}).size(), 3U);
  SimulateOptions forced;
  forced.tiling = all.back().tiling;
  for (const GemmPlan& plan :
       promising_plans(profile, gemm, {gemm.M}, forced, {5, 1.5})) {
    EXPECT_EQ(plan.tiling, forced.tiling);
  }
}

}  // namespace
}  // namespace tessera::npu
