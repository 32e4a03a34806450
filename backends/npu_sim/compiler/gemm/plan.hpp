// SPDX-License-Identifier: Apache-2.0
//
// A product after all choices: types on the cube, tiles, who does which tile,
// and which passes of the vector cores surround it.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/compiler/options.hpp"
#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// What the scheme makes of a product on this chip.
struct GemmKind {
  Type cube = Type::kF16;  // of both operands in L0
  Type stored_weight = Type::kF16;
  bool quantizes_input = false;  // a pass f16 -> codes before the product
  bool per_token = false;        // whose scales are found on the way
  bool widens_weight = false;    // a pass codes -> cube type before it
  bool unzips = false;
  bool vector_epilogue = false;  // a pass over each tile of accumulators
  int64_t vector_inputs = 0;     // [M, N] tensors that this pass reads
  int64_t vector_passes = 0;     // vector instructions over 32-bit elements
  // K of one sum of integers: groups of a weight leave the cube one by one, for
  // each has scales of its own.  0: the sum takes all of K.
  int64_t sum_k = 0;

  int64_t num_sums(int64_t k) const {
    return sum_k == 0 ? 1 : (k + sum_k - 1) / sum_k;
  }
};

// Errors  throws sdk::Error UNIMPLEMENTED, naming the profile, for a type that
//         the chip has not; INVALID_ARGUMENT for a shape without elements
GemmKind kind_of(const Profile& profile, const Gemm& gemm);

// One product of a launch; a plain Gemm is one of one.
struct GemmPart {
  int64_t M = 0;
  int64_t row_begin = 0;  // in the input and output of the launch
  int64_t weight_index = 0;
};

struct GemmPlan {
  Gemm gemm;  // M of all parts together
  GemmKind kind;
  std::vector<GemmPart> parts;
  GemmTiling tiling;
  int64_t cores = 0;  // cube cores
  bool double_buffer = true;
  bool uses_swizzle = true;
  // One of several products that a sliced one is made of: its input was read,
  // and quantized, for the first.
  bool is_later_slice = false;

  int64_t tiles_m(const GemmPart& part) const {
    return (part.M + tiling.tile_m - 1) / tiling.tile_m;
  }
  int64_t tiles_n() const {
    return (gemm.N + tiling.tile_n - 1) / tiling.tile_n;
  }
};

// Bytes of one element in L1 and L0; int4 is half of one, hence bits.
inline int64_t bytes_of_elements(Type type, int64_t count) {
  return (count * bits_of(type) + 7) / 8;
}

// How many tilings a search is to return: at most `most`, none of which costs
// more than `within` times the best.
struct SearchBreadth {
  size_t most = 1;
  double within = 1;
};

// The tilings that fit and are the fastest by the cost model, the best first,
// within what `options` force; one at least.
//
// Errors  throws sdk::Error INVALID_ARGUMENT, naming the memory, if a forced
//         tiling does not fit; and as kind_of
std::vector<GemmPlan> promising_plans(const Profile& profile, const Gemm& gemm,
                                      const std::vector<int64_t>& rows,
                                      const SimulateOptions& options,
                                      const SearchBreadth& breadth);

// The first of them.
GemmPlan plan_gemm(const Profile& profile, const Gemm& gemm,
                   const std::vector<int64_t>& rows,
                   const SimulateOptions& options);

}  // namespace tessera::npu
