// SPDX-License-Identifier: Apache-2.0
//
// What simulated launches show: overlap that comes from flags, penalties,
// refusals, a memo.

#include "backends/npu_sim/simulation/simulate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

using testing::HasSubstr;

Gemm gemm_of(int64_t M, int64_t N, int64_t K, Scheme scheme) {
  Gemm gemm;
  gemm.M = M;
  gemm.N = N;
  gemm.K = K;
  gemm.scheme = scheme;
  return gemm;
}

template <typename Body>
std::string refusal(const Body& body) {
  try {
    body();
  } catch (const sdk::Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Simulate, DoubleBufferingEmergesFromFlags) {
  const Profile profile = load_profile("910b1");
  const Gemm gemm = gemm_of(2048, 4096, 2048, Scheme::kW16A16);
  SimulateOptions single;
  single.double_buffer = false;
  const Simulation two = simulate(profile, gemm);
  const Simulation one = simulate(profile, gemm, single);
  EXPECT_GT(one.cycles, 1.4 * two.cycles);
  // The same work: only its overlap differs.
  EXPECT_DOUBLE_EQ(one.counters.macs_f16, two.counters.macs_f16);
}

TEST(Simulate, NoPipeIsBusyLongerThanTheLaunch) {
  Attention attention;
  attention.q_lens = std::vector<int64_t>(16, 1);
  attention.seq_lens = std::vector<int64_t>(16, 4096);
  attention.num_q_heads = 32;
  attention.num_kv_heads = 8;
  attention.kv = KvType::kS8;
  Gemm grouped = gemm_of(256, 2048, 2048, Scheme::kW4A8);
  grouped.group_size = 128;
  const Gemm dynamic = gemm_of(64, 4096, 4096, Scheme::kW8A8Dynamic);
  for (const char* chip : {"910b1", "310p", "310b1"}) {
    const Profile profile = load_profile(chip);
    for (const Problem& problem :
         {Problem(attention), Problem(grouped), Problem(dynamic)}) {
      const Simulation result = simulate(profile, problem);
      for (const double share : result.utilisation) EXPECT_LE(share, 1);
      EXPECT_LE(result.vector_mte2.utilisation, 1);
      EXPECT_LE(result.vector_scalar.utilisation, 1);
      EXPECT_GT(result.utilisation.at(static_cast<size_t>(Pipe::kScalar)), 0);
      // Only where vector cores are cores of their own do they have an MTE2.
      EXPECT_EQ(result.vector_mte2.utilisation > 0, !profile.unified_cores)
          << chip << " " << key_of(problem);
    }
  }
}

TEST(Simulate, SumsOfGroupsThatLeaveTheCubeTakeTime) {
  const Profile profile = load_profile("910b1");
  Gemm grouped = gemm_of(2048, 4096, 4096, Scheme::kW4A8);
  const double whole = simulate(profile, grouped).cycles;
  grouped.group_size = 128;
  const double of_128 = simulate(profile, grouped).cycles;
  grouped.group_size = 64;
  EXPECT_GT(of_128, 1.5 * whole);
  EXPECT_GT(simulate(profile, grouped).cycles, 1.5 * of_128);
}

// A row whose scale is found at run time is quantized whole.
TEST(Simulate, RowBeyondUbIsRefusedWithTheLongestThatFits) {
  const Profile profile = load_profile("910b1");
  const auto of_k = [&](int64_t K) {
    return simulate(profile, gemm_of(16, 512, K, Scheme::kW8A8Dynamic));
  };
  const std::string why = refusal([&] { of_k(131072); });
  EXPECT_THAT(why, HasSubstr("a row of 131072 values does not fit the 196608 "
                             "bytes of ub on 910b1; 97792 would"));
  EXPECT_GT(of_k(97792).cycles, 0);
  EXPECT_THAT(refusal([&] { of_k(97792 + 512); }), HasSubstr("97792 would"));
}

TEST(Simulate, SwizzleSavesDramReads) {
  const Profile profile = load_profile("910b1");
  const Gemm gemm = gemm_of(4096, 16384, 4096, Scheme::kW16A16);
  SimulateOptions plain;
  plain.tiling.tile_m = 128;
  plain.tiling.tile_n = 256;
  SimulateOptions rows = plain;
  rows.swizzle = false;
  EXPECT_LT(simulate(profile, gemm, plain).counters.dram_read_bytes,
            simulate(profile, gemm, rows).counters.dram_read_bytes);
}

TEST(Simulate, UnalignedRowsShowTheirPenalty) {
  const Profile profile = load_profile("910b1");
  Gemm even = gemm_of(2048, 4096, 4096, Scheme::kW16A16);
  even.weight_is_nk = false;  // rows of W are as long as N
  Gemm odd = even;
  odd.N = 4095;
  EXPECT_GT(simulate(profile, odd).cycles,
            1.05 * simulate(profile, even).cycles);
}

// Published as a bound of its gain; what it loses stays within the same.
TEST(Simulate, W4a16StaysWithinItsBoundOfF16) {
  for (const std::string& name : builtin_profiles()) {
    const Profile profile = load_profile(name);
    // One slow core writes wide values slower than DRAM would give them.
    const bool writes_slowly = static_cast<double>(profile.vector_cores) *
                                   profile.vector.ub_to_gm_rate <
                               profile.dram_rate();
    EXPECT_EQ(writes_slowly, name == "310b4");
    for (const int64_t M : {1, 16, 100, 1024}) {
      for (const int64_t K : {1024, 4096, 12288}) {
        const double narrow =
            simulate(profile, gemm_of(M, 4096, K, Scheme::kW4A16)).time_ns;
        const double wide =
            simulate(profile, gemm_of(M, 4096, K, Scheme::kW16A16)).time_ns;
        EXPECT_LE(wide / narrow, 1.6) << name << ' ' << M << ' ' << K;
        if (writes_slowly) continue;
        EXPECT_LE(narrow / wide, 1.6) << name << ' ' << M << ' ' << K;
      }
    }
  }
}

// In default layouts, results alone lie off the beats of 32 bytes.
TEST(Simulate, UnalignedResultsShowTheirPenalty) {
  const Profile profile = load_profile("910b1");
  EXPECT_GT(
      simulate(profile, gemm_of(4096, 4095, 4096, Scheme::kW16A16)).cycles,
      simulate(profile, gemm_of(4096, 4096, 4096, Scheme::kW16A16)).cycles);
}

TEST(Simulate, ScalesOfGroupsAreRead) {
  const Profile profile = load_profile("910b1");
  constexpr int64_t kSide = 4096;
  constexpr int64_t kGroup = 32;
  Gemm gemm = gemm_of(16, kSide, kSide, Scheme::kW4A16);
  const double without = simulate(profile, gemm).counters.dram_read_bytes;
  gemm.group_size = kGroup;
  const double with = simulate(profile, gemm).counters.dram_read_bytes;
  constexpr double kScaleBytes = 4.0 * kSide * kSide / kGroup;
  EXPECT_NEAR(with - without, kScaleBytes, 0.02 * kScaleBytes);
}

TEST(Simulate, CopyTilesThatNobodyNamedFitTwice) {
  for (const std::string& name : builtin_profiles()) {
    const Profile profile = load_profile(name);
    for (const CopyTarget target : {CopyTarget::kUb, CopyTarget::kL1}) {
      Copy copy;
      copy.target = target;
      for (const auto& [rows, columns] :
           {std::pair<int64_t, int64_t>{4096, 4096},
            {3, 1000003},
            {70001, 7}}) {
        copy.rows = rows;
        copy.columns = columns;
        const double bytes = 2.0 * static_cast<double>(rows * columns);
        EXPECT_GE(simulate(profile, copy).counters.l2_read_bytes, bytes)
            << name << ' ' << rows << 'x' << columns;
      }
    }
  }
}

// Wide values that L2 cannot hold at once go to DRAM and back.
TEST(Simulate, SlicesOfWideWeightsStayInL2) {
  const Profile profile = load_profile("310p");
  const Gemm gemm = gemm_of(16, 8192, 4096, Scheme::kW4A16);
  SimulateOptions whole;
  whole.tiling.wide_n = gemm.N;
  const Simulation sliced = simulate(profile, gemm);
  EXPECT_LT(sliced.tiling.wide_n, gemm.N);
  EXPECT_GT(sliced.tiling.wide_n, 0);
  EXPECT_LT(1.3 * sliced.cycles, simulate(profile, gemm, whole).cycles);
}

TEST(Simulate, EveryShippedProfileRunsEveryKindOfProblem) {
  for (const std::string& name : builtin_profiles()) {
    const Profile profile = load_profile(name);
    GroupedGemm grouped;
    grouped.each = gemm_of(0, 256, 512, Scheme::kInt8);
    grouped.rows = {3, 0, 70};
    Attention attention;
    attention.q_lens = {1, 17};
    attention.seq_lens = {300, 40};
    attention.num_q_heads = 4;
    attention.num_kv_heads = 2;
    Attention latent = attention;
    latent.num_q_heads = 16;
    latent.num_kv_heads = 1;
    latent.qk_dim = 576;
    latent.v_dim = 512;
    latent.v_in_k = true;
    Gemm full = gemm_of(70, 300, 200, Scheme::kW8A8Dynamic);
    full.epilogue = {true, true, true, true};
    Copy copy;
    copy.rows = 64;
    copy.columns = 512;
    copy.tile_rows = 16;
    copy.tile_columns = 256;
    const std::vector<Problem> problems = {
        full,
        grouped,
        attention,
        latent,
        copy,
        VectorOp{64, 512},
        SmallOp{SmallKind::kSoftmax, 3, 1000},
        SmallOp{SmallKind::kSoftmax, 2, 200000},
        SmallOp{SmallKind::kEmbedding, 40, 1000},
        CacheAppend{.tokens = 30, .num_kv_heads = 2, .kv = KvType::kS8}};
    for (const Problem& problem : problems) {
      const Simulation result = simulate(profile, problem);
      EXPECT_GT(result.time_ns, 0) << name << ' ' << key_of(problem);
      EXPECT_GT(result.energy.joules[0], 0);
      EXPECT_LE(result.energy.joules[0], result.energy.joules[1]);
      EXPECT_LE(result.energy.joules[1], result.energy.joules[2]);
      EXPECT_FALSE(compile(profile, problem).listing(20).empty());
    }
  }
}

// Board power over peak rate, section 5 of the reference, is an upper line.
TEST(Simulate, EnergyOfAFullCubeStaysUnderTheBoard) {
  for (const char* name : {"910b1", "310p"}) {
    const Profile profile = load_profile(name);
    const Simulation result =
        simulate(profile, gemm_of(2048, 4096, 4096, Scheme::kInt8));
    const double watts = result.energy.joules[1] / (result.time_ns * 1e-9);
    EXPECT_LT(watts, profile.energy.board_watts) << name;
    EXPECT_GT(watts, profile.energy.board_watts * profile.energy.static_share);
  }
}

TEST(Simulate, RefusalsNameTheChipAndWhatWouldWork) {
  const Profile small = load_profile("310p");
  const Profile large = load_profile("910b1");
  const auto try_scheme = [](const Profile& profile, Scheme scheme) {
    return refusal([&] { simulate(profile, gemm_of(16, 64, 64, scheme)); });
  };
  EXPECT_THAT(try_scheme(small, Scheme::kBf16), HasSubstr("310p has no bf16"));
  EXPECT_THAT(try_scheme(large, Scheme::kFp8), HasSubstr("950"));
  EXPECT_THAT(try_scheme(large, Scheme::kW8A8Sc), HasSubstr("310p has"));
  EXPECT_THAT(
      refusal([&] { simulate(large, gemm_of(0, 64, 64, Scheme::kW16A16)); }),
      HasSubstr("0 x 64 x 64"));
  EXPECT_THAT(refusal([&] {
                simulate(large,
                         Copy{.rows = 8, .columns = 8, .nd_to_nz = true});
              }),
              HasSubstr("to l1 alone"));
  EXPECT_THAT(refusal([&] {
                simulate(large, SmallOp{.kind = SmallKind::kRope,
                                        .rows = 2,
                                        .columns = 100,
                                        .head_dim = 64});
              }),
              HasSubstr("heads of 64 do not fill rows of 100"));
  EXPECT_THAT(refusal([&] { simulate(large, CacheAppend{.tokens = 0}); }),
              HasSubstr("kv_append: a size of 0"));
  EXPECT_THAT(
      refusal([&] { simulate(large, CacheAppend{.tokens = 1, .cores = 100}); }),
      HasSubstr("cores 100 of 48"));
  SimulateOptions options;
  options.tiling.tile_m = 512;
  options.tiling.tile_n = 512;
  EXPECT_THAT(refusal([&] {
                simulate(large, gemm_of(512, 512, 512, Scheme::kW16A16),
                         options);
              }),
              HasSubstr("l0c, which has 131072"));
}

TEST(Simulate, SmallMemoriesGetSmallTiles) {
  const Profile profile =
      with_parameters(load_profile("910b1"), {{"local.l0c_bytes", 4096}});
  const Simulation result =
      simulate(profile, gemm_of(999, 1001, 1003, Scheme::kW16A16));
  EXPECT_LE(4 * result.tiling.tile_m * result.tiling.tile_n, 4096);
}

TEST(Simulator, EqualShapesAreSimulatedOnce) {
  Simulator simulator(load_profile("310p"));
  const Gemm gemm = gemm_of(1, 1024, 1024, Scheme::kW8A8);
  const Simulation& first = simulator.time(gemm);
  simulator.time(gemm_of(1, 1024, 2048, Scheme::kW8A8));
  EXPECT_EQ(&first, &simulator.time(gemm));
  EXPECT_EQ(simulator.num_simulated(), 2);
}

TEST(Simulate, RunsAreReproducible) {
  const Profile profile = load_profile("910b1");
  const Gemm gemm = gemm_of(300, 3000, 1000, Scheme::kW8A8Dynamic);
  EXPECT_EQ(simulate(profile, gemm).cycles, simulate(profile, gemm).cycles);
}

}  // namespace
}  // namespace tessera::npu
