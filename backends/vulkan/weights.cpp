// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/weights.hpp"

#include <atomic>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "backends/vulkan/device.hpp"
#include "tessera/packing/pack_rows.hpp"
#include "tessera/record.hpp"

namespace tessera::vulkan {
namespace {

// One packing transaction.  Rows are packed in host memory: the buffer's own,
// or, where the host does not see it, some that is copied at the end.
class VulkanPacking final : public sdk::Packing {
 public:
  VulkanPacking(VulkanDevice& device, uint64_t id, const tsr_weight_desc& desc,
                PackedPlace place)
      : device_(device),
        id_(id),
        desc_(desc),
        planes_(sdk::Elements<tsr_plane>(desc.planes).all()),
        shape_(sdk::packing::weight_shape(desc, kTileLayout)),
        place_(std::move(place)) {
    place_.buffer->require_range(place_.offset, shape_.packed_bytes);
    // The caller's array of planes need not outlive packing_begin.
    desc_.planes = {planes_.data(), static_cast<uint32_t>(planes_.size()),
                    sizeof(tsr_plane)};
    if (place_.buffer->is_host_visible()) {
      packed_ = place_.buffer->host() + place_.offset;
    } else {
      staging_ = std::make_unique<Buffer>(device.gpu(), shape_.packed_bytes,
                                          Memory::kHost);
      packed_ = staging_->host();
    }
  }

  void slice(uint32_t n_begin, uint32_t n_end,
             const tsr_weight_desc& slice) override {
    sdk::packing::pack_rows(shape_, slice, n_begin, n_end, packed_);
    rows_ += n_end - n_begin;
  }

  void commit() override {
    if (rows_ != desc_.N) {
      throw sdk::Error(TSR_FAILED_PRECONDITION, std::to_string(rows_) + " of " +
                                                    std::to_string(desc_.N) +
                                                    " rows are packed");
    }
    if (staging_ != nullptr) {
      device_.copy({staging_.get(), 0}, {place_.buffer.get(), place_.offset},
                   shape_.packed_bytes);
    }
    device_.add_weight(
        id_, std::make_shared<PackedWeight>(device_, desc_, std::move(place_)));
  }

 private:
  VulkanDevice& device_;
  uint64_t id_;
  tsr_weight_desc desc_;
  std::vector<tsr_plane> planes_;
  WeightShape shape_;
  PackedPlace place_;
  std::unique_ptr<Buffer> staging_;
  char* packed_ = nullptr;
  std::atomic<uint64_t> rows_{0};
};

template <typename T>
std::shared_ptr<Buffer> upload(VulkanDevice& device,
                               const std::vector<T>& values) {
  if (values.empty()) return nullptr;
  const uint64_t bytes = values.size() * sizeof(T);
  auto buffer = std::make_shared<Buffer>(device.gpu(), bytes, Memory::kHost);
  std::memcpy(buffer->host(), values.data(), bytes);
  return buffer;
}

}  // namespace

PackedWeight::PackedWeight(VulkanDevice& device, const tsr_weight_desc& desc,
                           PackedPlace place)
    : desc_(desc),
      planes_(sdk::Elements<tsr_plane>(desc.planes).all()),
      shape_(sdk::packing::weight_shape(desc, kTileLayout)),
      place_(std::move(place)) {
  desc_.next = nullptr;
  place_.buffer->require_range(place_.offset, shape_.packed_bytes);
  read_small_planes(device, desc);
  for (tsr_plane& plane : planes_) plane.data = nullptr;
}

tsr_weight_desc PackedWeight::desc() const {
  tsr_weight_desc desc = desc_;
  desc.planes = {planes_.data(), static_cast<uint32_t>(planes_.size()),
                 sizeof(tsr_plane)};
  return desc;
}

void PackedWeight::read_small_planes(VulkanDevice& device,
                                     const tsr_weight_desc& desc) {
  const sdk::packing::SmallPlanes planes =
      sdk::packing::read_small_planes(desc, shape_);
  permutation_ = upload(device, planes.permutation);
  input_multiplier_ = upload(device, planes.input_multiplier);
  quant_bias_ = upload(device, planes.quant_bias);
  static_activation_ = planes.static_activation;
}

std::vector<uint32_t> linear_constants(const WeightShape& shape,
                                       bool is_integer) {
  return {static_cast<uint32_t>(shape.code),
          shape.code_zero,
          shape.chunk_values * shape.code_bits() / 32,
          shape.scale_bits,
          shape.has_zeros ? 1U : 0U,
          shape.has_mins ? 1U : 0U,
          is_integer ? 1U : 0U,
          shape.is_per_channel() ? 0U : 1U};
}

tsr_packed_info query_weight(const tsr_weight_desc& desc) {
  constexpr uint32_t kLayoutVersion = 1;
  return sdk::packing::packed_info(
      sdk::packing::weight_shape(desc, kTileLayout), kLayoutVersion);
}

std::unique_ptr<sdk::Packing> begin_packing(VulkanDevice& device,
                                            uint64_t weight,
                                            const tsr_weight_desc& desc,
                                            PackedPlace place) {
  return std::make_unique<VulkanPacking>(device, weight, desc,
                                         std::move(place));
}

}  // namespace tessera::vulkan
