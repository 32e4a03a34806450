// SPDX-License-Identifier: Apache-2.0
//
// A weight on the device, and the transaction that brings it there.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/opencl/runtime/buffer.hpp"
#include "tessera/packing/small_planes.hpp"
#include "tessera/packing/weight_shape.hpp"
#include "tessera/plugin.hpp"

namespace tessera::opencl {

class OpenClDevice;

using sdk::packing::StaticActivation;
using sdk::packing::WeightShape;

// Rows of W that a packed tile holds side by side, as kernels/linear.cl has
// them: a vector of 16 codes is one load.
inline constexpr sdk::packing::TileLayout kTileLayout = {16, 0, 0, 1};
inline constexpr uint32_t kTileRows = kTileLayout.rows;

// Where packed bytes lie.
struct PackedPlace {
  std::shared_ptr<Buffer> buffer;
  uint64_t offset = 0;
};

class PackedWeight {
 public:
  // Over bytes that pack_rows filled; the small planes of `desc` carry data.
  //
  // Errors  throws INVALID_ARGUMENT if the place is too small, a permutation
  //         names a feature outside K, or a static scale makes no sense
  PackedWeight(OpenClDevice& device, const tsr_weight_desc& desc,
               PackedPlace place);

  const WeightShape& shape() const { return shape_; }
  // Without data.
  tsr_weight_desc desc() const;
  cl_mem memory() const { return place_.buffer->memory(); }
  uint64_t offset() const { return place_.offset; }
  // Null where there is no such plane.
  const Buffer* permutation() const { return permutation_.get(); }
  const Buffer* input_multiplier() const { return input_multiplier_.get(); }
  const Buffer* quant_bias() const { return quant_bias_.get(); }
  const std::optional<StaticActivation>& static_activation() const {
    return static_activation_;
  }

 private:
  void read_small_planes(OpenClDevice& device, const tsr_weight_desc& desc);

  tsr_weight_desc desc_;
  std::vector<tsr_plane> planes_;
  WeightShape shape_;
  PackedPlace place_;
  std::shared_ptr<Buffer> permutation_;       // I32 [K]
  std::shared_ptr<Buffer> input_multiplier_;  // F32 [K]
  std::shared_ptr<Buffer> quant_bias_;        // I32 [N rounded up to tiles]
  std::optional<StaticActivation> static_activation_;
};

// The constants that linear.cl is compiled with.
std::string kernel_constants(const WeightShape& shape, bool is_integer);

tsr_packed_info query_weight(const tsr_weight_desc& desc);
std::unique_ptr<sdk::Packing> begin_packing(OpenClDevice& device,
                                            uint64_t weight,
                                            const tsr_weight_desc& desc,
                                            PackedPlace place);

}  // namespace tessera::opencl
