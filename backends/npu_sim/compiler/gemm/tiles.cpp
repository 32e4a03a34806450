// SPDX-License-Identifier: Apache-2.0
//
// Swizzled order: bands of tile rows, each swept from left to right.

#include "backends/npu_sim/compiler/gemm/tiles.hpp"

#include <algorithm>

#include "backends/npu_sim/compiler/gemm/layout.hpp"

namespace tessera::npu {

namespace {

struct TilePlace {
  int64_t row;
  int64_t column;
};

std::vector<TilePlace> order_of(int64_t rows, int64_t columns, int64_t band) {
  std::vector<TilePlace> order;
  order.reserve(static_cast<size_t>(rows * columns));
  for (int64_t first = 0; first < rows; first += band) {
    const int64_t last = std::min(rows, first + band);
    for (int64_t column = 0; column < columns; ++column) {
      for (int64_t row = first; row < last; ++row)
        order.push_back({row, column});
    }
  }
  return order;
}

}  // namespace

std::vector<std::vector<TileWork>> deal_tiles(const GemmPlan& plan) {
  const GemmTiling& tiling = plan.tiling;
  const int64_t K = plan.gemm.K;
  const int64_t split_k = split_share(K, tiling);
  std::vector<std::vector<TileWork>> cores(static_cast<size_t>(plan.cores));
  size_t next = 0;
  for (const GemmPart& part : plan.parts) {
    if (part.M == 0) continue;
    const int64_t band = std::max<int64_t>(1, tiling.swizzle);
    for (const TilePlace& place :
         order_of(plan.tiles_m(part), plan.tiles_n(), band)) {
      for (int64_t k = 0; k < K; k += split_k) {
        TileWork work;
        work.row = part.row_begin + place.row * tiling.tile_m;
        work.m = std::min(tiling.tile_m, part.M - place.row * tiling.tile_m);
        work.column = place.column * tiling.tile_n;
        work.n = std::min(tiling.tile_n, plan.gemm.N - work.column);
        work.k_begin = k;
        work.k = std::min(split_k, K - k);
        work.weight_index = part.weight_index;
        work.split = k / split_k;
        work.core = static_cast<int64_t>(next % cores.size());
        std::vector<TileWork>& core = cores[next++ % cores.size()];
        if (!core.empty()) {
          const TileWork& last = core.back();
          work.packets_before =
              last.packets_before + ceil_div(last.k, tiling.packet_k);
          work.steps_before = last.steps_before;
          for (int64_t at = 0; at < last.k; at += tiling.packet_k) {
            work.steps_before +=
                ceil_div(std::min(tiling.packet_k, last.k - at), tiling.tile_k);
          }
        }
        core.push_back(work);
      }
    }
  }
  return cores;
}

}  // namespace tessera::npu
