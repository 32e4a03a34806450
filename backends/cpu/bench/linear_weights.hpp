// SPDX-License-Identifier: Apache-2.0
//
// Random weights of every scheme that the linear benchmark times, in enough
// copies that none is in a cache when its turn comes.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/cpu/bench/bench_memory.hpp"
#include "backends/cpu/kernels/linear/weight.hpp"

namespace tessera::cpu {

struct Scheme {
  const char* name;
  uint32_t format;
  uint32_t dtype;        // of the codes; U8 of GGUF blocks
  int64_t values;        // of a block, or columns in one byte or more
  int64_t bytes;         // that these take
  int64_t group_size;    // of the SCALE plane; 0: per channel
  uint32_t scale_dtype;  // NONE: no plane
  uint32_t act_quant;
  uint32_t x_dtype;
};

struct Shape {
  int64_t M;
  int64_t N;
  int64_t K;
};

// Copies of one random weight, used in turn.
class Weights {
 public:
  // As many copies as take `min_bytes`, at least one.
  Weights(const Scheme& scheme, const Shape& shape, int64_t min_bytes);

  const LinearWeight& next() {
    turn_ = (turn_ + 1) % weights_.size();
    return weights_[turn_];
  }
  // The stored bytes of the next copy, which then has had its turn.
  const std::byte* next_bytes() {
    turn_ = (turn_ + 1) % weights_.size();
    return memory_.data() + static_cast<int64_t>(turn_) * stride_;
  }
  // Of codes and scales as the planes have them.
  int64_t canonical_bytes() const {
    return static_cast<int64_t>(codes_.size() + scales_.size());
  }

 private:
  void fill_planes(const Scheme& scheme, const Shape& shape);
  void fill_scales(const Scheme& scheme, const Shape& shape);
  void fill_sparse(const Shape& shape);

  std::vector<std::byte> codes_;
  std::vector<std::byte> scales_;
  std::vector<int64_t> index_;  // of SPARSE_FIXED
  std::vector<tsr_plane> planes_;
  Memory memory_;
  int64_t stride_ = 0;
  std::vector<LinearWeight> weights_;
  size_t turn_ = 0;
};

}  // namespace tessera::cpu
