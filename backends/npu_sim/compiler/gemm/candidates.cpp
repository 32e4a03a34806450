// SPDX-License-Identifier: Apache-2.0
//
// Multiples of fractals, and splits of K where tiles are fewer than cores.

#include "backends/npu_sim/compiler/gemm/candidates.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

double real(int64_t value) { return static_cast<double>(value); }

constexpr int64_t kFractalRows = 16;
constexpr std::array<int64_t, 7> kTileRows = {16, 32, 64, 96, 128, 192, 256};
constexpr std::array<int64_t, 10> kTileColumns = {16,  32,  64,  96,  128,
                                                  160, 192, 256, 384, 512};
constexpr std::array<int64_t, 4> kSplits = {1, 2, 4, 8};
constexpr double kSumBytes = 4;
constexpr double kLongestRow = 4096;  // bytes of a packet's, as fit.cpp has it

// Sizes worth trying along one side.
template <size_t Count>
std::vector<int64_t> sizes_of(const std::array<int64_t, Count>& all,
                              int64_t side, int64_t forced,
                              int64_t least_side) {
  if (forced > 0) return {forced};
  std::vector<int64_t> sizes;
  const int64_t padded = round_up(side, kFractalRows);
  const int64_t least = side >= 256 ? least_side : kFractalRows;
  for (const int64_t size : all) {
    if (size >= padded) {
      sizes.push_back(padded);
      break;
    }
    if (size >= least) sizes.push_back(size);
  }
  return sizes;
}

void add_even_share(const GemmPlan& plan, std::vector<int64_t>& columns) {
  const int64_t share =
      round_up(ceil_div(plan.gemm.N, plan.cores), kFractalRows);
  for (int64_t parts = 1; parts <= 2; ++parts) {
    const int64_t size = round_up(ceil_div(share, parts), kFractalRows);
    if (size <= 512) columns.push_back(size);
  }
}

// What no order of tiles, no cache and no overlap can undercut of one tile and
// all of K: the products, the loads to L0 and to L1, the way out, and the way
// of two packets in turn through all of them.
double least_of_tile(const Profile& profile, const GemmPlan& plan,
                     const Candidate& candidate) {
  const Type type = plan.kind.cube;
  const auto m = real(round_up(candidate.tile_m, kFractalRows));
  const auto n = real(round_up(candidate.tile_n, kFractalRows));
  const double sum_bytes = kSumBytes * m * n;
  if (sum_bytes > real(profile.local.l0c_bytes)) {
    return std::numeric_limits<double>::infinity();
  }
  const double K = real(plan.gemm.K);
  const double element = real(bits_of(type)) / 8;
  const LocalMemories& local = profile.local;
  const double step = std::min({K, real(local.l0a_bytes) / 2 / m / element,
                                real(local.l0b_bytes) / 2 / n / element});
  const double steps = K / step;
  const double cube = m * n * K / real(cube_macs(profile, type)) +
                      steps * profile.cube.issue_cycles;
  const double mte1 =
      K * element * (m / local.l1_to_l0a_rate + n / local.l1_to_l0b_rate) +
      2 * steps * local.load3d_cycles;
  const double mte2 = plan.kind.unzips
                          ? 0
                          : (m + n) * K * element / profile.global.l2_read_rate;
  const double packets =
      K * element /
      std::min({K * element, kLongestRow, real(local.l1_bytes) / 2 / (m + n)});
  const double through = std::max(cube, mte1) + mte2 +
                         packets * profile.assumptions.l2_latency_cycles;
  const double exit_rate = profile.exit.fixpipe
                               ? profile.exit.fixpipe_elements
                               : profile.exit.l0c_to_ub_rate / kSumBytes;
  const bool is_hidden = 2 * sum_bytes <= real(local.l0c_bytes);
  const double exit = m * n / exit_rate;
  return std::max(
      {cube + (is_hidden ? 0 : exit), mte1, mte2, exit, through / 2});
}

// Of adding up what cores have that share a tile's K.
double sum_cycles(const Profile& profile, const GemmPlan& plan,
                  int64_t split_k) {
  if (split_k == 1) return 0;
  const double lanes = real(plan.cores) * (profile.unified_cores ? 1 : 2);
  const double bytes =
      kSumBytes * real(plan.gemm.M * plan.gemm.N * split_k) / lanes;
  return bytes / (profile.global.l2_read_rate *
                  profile.assumptions.l2_core_factor) +
         profile.assumptions.cross_core_cycles +
         profile.assumptions.l2_latency_cycles +
         profile.global.write_latency_cycles + profile.vector.latency_cycles;
}

// tiles  counted as what they hold
// whole  counted
void add_cycles(const Profile& profile, const GemmPlan& plan, double tiles,
                int64_t whole, Candidate& candidate) {
  const auto splits = real(candidate.split_k);
  const double tile = least_of_tile(profile, plan, candidate) / splits;
  const double share = std::max(1.0, tiles * splits / real(plan.cores));
  const auto waves = real(ceil_div(whole * candidate.split_k, plan.cores));
  const double after = sum_cycles(profile, plan, candidate.split_k);
  candidate.least_cycles = share * tile + after;
  candidate.promise =
      std::max(share, waves * tiles / real(whole)) * tile + after;
}

}  // namespace

std::vector<Candidate> candidates_of(const Profile& profile,
                                     const GemmPlan& plan,
                                     const PartsSummary& parts,
                                     const GemmTiling& forced,
                                     int64_t least_side) {
  const Gemm& gemm = plan.gemm;
  std::vector<int64_t> columns =
      sizes_of(kTileColumns, gemm.N, forced.tile_n, least_side);
  if (forced.tile_n == 0 && parts.most_rows <= 64) {
    add_even_share(plan, columns);
  }
  const bool may_split = parts.num_active <= 1 && plan.kind.sum_k == 0 &&
                         parts.most_rows <= (plan.is_later_slice ? 16 : 256);
  std::vector<Candidate> candidates;
  candidates.reserve(kTileRows.size() * (columns.size() + 1));
  int row = 0;
  for (const int64_t tile_m :
       sizes_of(kTileRows, parts.most_rows, forced.tile_m, least_side)) {
    ++row;
    int column = 0;
    // Short tiles count as what they hold.
    const double rows =
        static_cast<double>(parts.rows) / static_cast<double>(tile_m);
    const int64_t whole_rows = tile_rows_of(plan.parts, tile_m);
    for (const int64_t tile_n : columns) {
      ++column;
      const double tiles =
          rows * static_cast<double>(gemm.N) / static_cast<double>(tile_n);
      const int64_t whole = whole_rows * ceil_div(gemm.N, tile_n);
      for (const int64_t split : kSplits) {
        Candidate one{tile_m, tile_n, split, row, column};
        if (forced.split_k > 0) one.split_k = forced.split_k;
        const bool pays = may_split && whole * split <= 2 * plan.cores &&
                          gemm.K >= 512 * split;
        if (split > 1 && (!pays || forced.split_k > 0)) break;
        add_cycles(profile, plan, tiles, whole, one);
        candidates.push_back(one);
      }
    }
  }
  return candidates;
}

}  // namespace tessera::npu
