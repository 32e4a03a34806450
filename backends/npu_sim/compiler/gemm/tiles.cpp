// SPDX-License-Identifier: Apache-2.0
//
// Swizzled order: bands of tile rows, each swept from left to right.

#include "backends/npu_sim/compiler/gemm/tiles.hpp"

#include <algorithm>
#include <utility>

#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/compiler/gemm/slices.hpp"

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

// Deals tiles to one core after another, whatever part or slice they are of.
class Dealer {
 public:
  explicit Dealer(const GemmPlan& plan)
      : plan_(plan), cores_(static_cast<size_t>(plan.cores)) {}

  void add(const WeightSlice& slice, const GemmPart& part);
  std::vector<std::vector<TileWork>> take() { return std::move(cores_); }

 private:
  void add(TileWork work);

  const GemmPlan& plan_;
  std::vector<std::vector<TileWork>> cores_;
  size_t next_ = 0;
};

void Dealer::add(TileWork work) {
  const GemmTiling& tiling = plan_.tiling;
  work.core = static_cast<int64_t>(next_ % cores_.size());
  std::vector<TileWork>& core = cores_[next_++ % cores_.size()];
  if (!core.empty()) {
    const TileWork& last = core.back();
    work.packets_before =
        last.packets_before + ceil_div(last.k, tiling.packet_k);
    work.steps_before = last.steps_before;
    work.sums_before = last.sums_before + plan_.kind.num_sums(last.k);
    for (int64_t at = 0; at < last.k; at += tiling.packet_k) {
      work.steps_before +=
          ceil_div(std::min(tiling.packet_k, last.k - at), tiling.tile_k);
    }
  }
  core.push_back(work);
}

void Dealer::add(const WeightSlice& slice, const GemmPart& part) {
  const GemmTiling& tiling = plan_.tiling;
  const int64_t K = plan_.gemm.K;
  const int64_t split_k = split_share(K, tiling);
  const int64_t columns = ceil_div(slice.columns, tiling.tile_n);
  const int64_t band = std::max<int64_t>(1, tiling.swizzle);
  for (const TilePlace& place : order_of(plan_.tiles_m(part), columns, band)) {
    const int64_t column = place.column * tiling.tile_n;
    for (int64_t k = 0; k < K; k += split_k) {
      TileWork work;
      work.row = part.row_begin + place.row * tiling.tile_m;
      work.m = std::min(tiling.tile_m, part.M - place.row * tiling.tile_m);
      work.column = slice.first_column + column;
      work.n = std::min(tiling.tile_n, slice.columns - column);
      work.k_begin = k;
      work.k = std::min(split_k, K - k);
      work.weight_index = part.weight_index;
      work.slice = slice.index;
      work.slice_column = slice.first_column;
      work.slice_element = slice.first_element;
      work.split = k / split_k;
      add(work);
    }
  }
}

}  // namespace

std::vector<std::vector<TileWork>> deal_tiles(const GemmPlan& plan) {
  Dealer dealer(plan);
  for (const WeightSlice& slice : slices_of(plan)) {
    for (int64_t i = 0; i < slice.num_parts; ++i) {
      const GemmPart& part =
          plan.parts[static_cast<size_t>(slice.first_part + i)];
      if (part.M > 0) dealer.add(slice, part);
    }
  }
  return dealer.take();
}

bool is_last_of_slice(const std::vector<TileWork>& tiles, int64_t index) {
  const auto at = static_cast<size_t>(index);
  return at + 1 == tiles.size() || tiles[at + 1].slice != tiles[at].slice;
}

}  // namespace tessera::npu
