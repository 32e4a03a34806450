// SPDX-License-Identifier: Apache-2.0
//
// The loops that all modes of linear share: which rows of X and W meet when.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/conformance/reference/linear/dot_tile.hpp"

namespace tessera::reference {

struct LinearShape {
  uint32_t M = 0;
  uint32_t n_begin = 0;
  uint32_t n_end = 0;
  uint32_t K = 0;
  uint32_t group_size = 0;  // K: one sum per output
};

// For each token m, row n and group g: store(m, n, g, sum over the group's k of
// x[m, k] * w[n, k], ascending), g ascending for each m and n.
//
// load_input(m, row) and load_weight(n, row) write K Numbers.  Inputs are
// transposed in blocks of kBlockTokens, and rows of W decoded in blocks of
// kBlockRows, so that decoding costs little and a tile of tokens stays in the
// second-level cache while the rows pass.
template <typename Number, typename LoadInput, typename LoadWeight,
          typename Store>
class LinearTiles {
 public:
  LinearTiles(const LinearShape& shape, const LoadInput& load_input,
              const LoadWeight& load_weight, const Store& store)
      : shape_(shape),
        load_input_(load_input),
        load_weight_(load_weight),
        store_(store),
        row_(shape.K) {}

  void run() {
    for (uint32_t m = 0; m < shape_.M; m += kBlockTokens) {
      const uint32_t tokens = std::min(kBlockTokens, shape_.M - m);
      load_tokens(m, tokens);
      for (uint32_t n = shape_.n_begin; n < shape_.n_end; n += kBlockRows) {
        const uint32_t rows = std::min(kBlockRows, shape_.n_end - n);
        load_rows(n, rows);
        for (uint32_t t = 0; t < tokens; t += kTile) {
          const uint32_t in_tile = std::min(kTile, tokens - t);
          for (uint32_t r = 0; r < rows; ++r) multiply(m, t, in_tile, n, r);
        }
      }
    }
  }

 private:
  static constexpr uint32_t kTile = kTileTokens;
  static constexpr uint32_t kBlockTokens = 8 * kTile;
  static constexpr uint32_t kBlockRows = 16;

  // x_ holds tiles [K, kTile]; tokens past the last one are zeros.
  void load_tokens(uint32_t m, uint32_t tokens) {
    const uint32_t tiles = (tokens + kTile - 1) / kTile;
    x_.assign(size_t{tiles} * shape_.K * kTile, Number{0});
    for (uint32_t t = 0; t < tokens; ++t) {
      load_input_(m + t, std::span<Number>(row_));
      Number* column = &x_[size_t{t / kTile} * shape_.K * kTile + t % kTile];
      for (size_t k = 0; k < shape_.K; ++k) column[k * kTile] = row_[k];
    }
  }

  void load_rows(uint32_t n, uint32_t rows) {
    w_.resize(size_t{rows} * shape_.K);
    for (uint32_t r = 0; r < rows; ++r) {
      load_weight_(
          n + r, std::span<Number>(w_).subspan(size_t{r} * shape_.K, shape_.K));
    }
  }

  // Row n + r against the tile of tokens m + t ...
  void multiply(uint32_t m, uint32_t t, uint32_t in_tile, uint32_t n,
                uint32_t r) {
    const Number* w = &w_[size_t{r} * shape_.K];
    const Number* x = &x_[size_t{t} * shape_.K];
    Number sums[kTileTokens];
    for (uint32_t k = 0, g = 0; k < shape_.K; k += shape_.group_size, ++g) {
      const uint32_t length = std::min(shape_.group_size, shape_.K - k);
      dot_tile(w + k, x + size_t{k} * kTile, length, in_tile, sums);
      for (uint32_t i = 0; i < in_tile; ++i) {
        store_(m + t + i, n + r, g, sums[i]);
      }
    }
  }

  LinearShape shape_;
  const LoadInput& load_input_;
  const LoadWeight& load_weight_;
  const Store& store_;
  std::vector<Number> row_;
  std::vector<Number> x_;
  std::vector<Number> w_;
};

template <typename Number, typename LoadInput, typename LoadWeight,
          typename Store>
void for_each_sum(const LinearShape& shape, const LoadInput& load_input,
                  const LoadWeight& load_weight, const Store& store) {
  LinearTiles<Number, LoadInput, LoadWeight, Store>(shape, load_input,
                                                    load_weight, store)
      .run();
}

}  // namespace tessera::reference
