// SPDX-License-Identifier: Apache-2.0
//
// A weight on the device, and the transaction that brings it there.

#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "backends/vulkan/runtime/texels.hpp"
#include "tessera/packing/small_planes.hpp"
#include "tessera/packing/weight_shape.hpp"
#include "tessera/plugin.hpp"

namespace tessera::vulkan {

class VulkanDevice;

using sdk::packing::StaticActivation;
using sdk::packing::WeightShape;

// As shaders/linear_codes.glsl reads tiles: words of consecutive columns.
inline constexpr sdk::packing::TileLayout kTileLayout = {64, 16, 8, 4, true};
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
  PackedWeight(VulkanDevice& device, const tsr_weight_desc& desc,
               PackedPlace place);

  const WeightShape& shape() const { return shape_; }
  // Without data.
  tsr_weight_desc desc() const;
  uint64_t address() const { return place_.buffer->address() + place_.offset; }
  // Bytes of the packed form.
  TexelRange texels(uint64_t offset, uint64_t bytes, VkFormat format) const {
    return {place_.buffer.get(), place_.offset + offset, bytes, format};
  }
  // Null where there is no such plane.
  const Buffer* permutation() const { return permutation_.get(); }
  const Buffer* input_multiplier() const { return input_multiplier_.get(); }
  const Buffer* quant_bias() const { return quant_bias_.get(); }
  const std::optional<StaticActivation>& static_activation() const {
    return static_activation_;
  }

 private:
  void read_small_planes(VulkanDevice& device, const tsr_weight_desc& desc);

  tsr_weight_desc desc_;
  std::vector<tsr_plane> planes_;
  WeightShape shape_;
  PackedPlace place_;
  std::shared_ptr<Buffer> permutation_;       // I32 [K]
  std::shared_ptr<Buffer> input_multiplier_;  // F32 [K]
  std::shared_ptr<Buffer> quant_bias_;        // I32 [N rounded up to tiles]
  std::optional<StaticActivation> static_activation_;
};

// The constants of shaders/linear.comp but the last two, its rows and columns.
std::vector<uint32_t> linear_constants(const WeightShape& shape,
                                       bool is_integer);

tsr_packed_info query_weight(const tsr_weight_desc& desc);
std::unique_ptr<sdk::Packing> begin_packing(VulkanDevice& device,
                                            uint64_t weight,
                                            const tsr_weight_desc& desc,
                                            PackedPlace place);

}  // namespace tessera::vulkan
