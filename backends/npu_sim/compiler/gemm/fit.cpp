// SPDX-License-Identifier: Apache-2.0
//
// How much of K fits the memories at a time, beside tiles of a given size.

#include "backends/npu_sim/compiler/gemm/fit.hpp"

#include <algorithm>

#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
constexpr int64_t kLineBytes = 512;
constexpr int64_t kMostPacketBytes = 4096;  // of a row in L1

// The largest power of two of units that is at most `most`.
int64_t power_of_units(int64_t most, int64_t unit) {
  int64_t size = unit;
  while (size * 2 <= most) size *= 2;
  return size;
}

}  // namespace

void choose_depth(const Profile& profile, const GemmPlan& plan,
                  GemmTiling& tiling) {
  const Type type = plan.kind.cube;
  const int64_t k0 = fractal_k(type);
  const int64_t K = round_up(plan.gemm.K, k0);
  const int64_t buffers = plan.double_buffer ? 2 : 1;
  const int64_t rows_a = round_up(tiling.tile_m, kFractalRows);
  const int64_t rows_b = round_up(tiling.tile_n, kFractalRows);
  const auto elements = [&](int64_t bytes) {
    return bytes * 8 / bits_of(type);
  };
  if (tiling.tile_k == 0) {
    const int64_t most =
        std::min(elements(profile.local.l0a_bytes / buffers) / rows_a,
                 elements(profile.local.l0b_bytes / buffers) / rows_b);
    tiling.tile_k = std::min(K, power_of_units(most, k0));
    // A sum ends with a step.
    const int64_t sum_k = plan.kind.sum_k;
    while (sum_k > 0 && sum_k % tiling.tile_k != 0) {
      tiling.tile_k = power_of_units(tiling.tile_k - 1, k0);
    }
  }
  if (tiling.packet_k == 0) {
    const int64_t most =
        std::min(elements(profile.local.l1_bytes / buffers) / (rows_a + rows_b),
                 elements(kMostPacketBytes));
    int64_t packet = round_down(most, tiling.tile_k);
    // Whole lines of L2, or a half or quarter: no packet begins off a line.
    const int64_t line = std::max(elements(kLineBytes), tiling.tile_k);
    packet = packet > line ? packet / line * line
                           : power_of_units(packet, tiling.tile_k);
    // Equal packets: a short last one leaves the buffer of a long one idle.
    const int64_t unit = packet > line ? line : tiling.tile_k;
    const int64_t even = round_up(ceil_div(K, ceil_div(K, packet)), unit);
    tiling.packet_k = std::min({packet, even, round_up(K, tiling.tile_k)});
  }
}

std::optional<Misfit> misfit(const Profile& profile, const GemmLayout& layout) {
  const LocalMemories& local = profile.local;
  for (const Misfit& need :
       {Misfit{"l0a", layout.buffers * layout.a_step_bytes, local.l0a_bytes},
        Misfit{"l0b", layout.buffers * layout.b_step_bytes, local.l0b_bytes},
        Misfit{"l0c", layout.accumulators * layout.accumulator_bytes,
               local.l0c_bytes},
        Misfit{"l1", layout.l1_bytes(), local.l1_bytes},
        Misfit{"ub", layout.ub_bytes, local.ub_bytes}}) {
    if (need.needed_bytes > need.bytes) return need;
  }
  return std::nullopt;
}

}  // namespace tessera::npu
