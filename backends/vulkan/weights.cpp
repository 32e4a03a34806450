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

// To where the device has them, and, of a staged buffer, the host too.
void send(VulkanDevice& device, const std::vector<HostCopy>& copies) {
  device.ring().upload(copies);
  for (const HostCopy& copy : copies) {
    const BufferRange& to = copy.device;
    if (!to.buffer->is_staged()) continue;
    std::memcpy(to.buffer->host() + to.offset, copy.host, copy.bytes);
  }
}

// One packing transaction.  Rows are packed where they lie, or, where the
// host's writes do not reach the device, by themselves and then sent there.
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
  }

  void slice(uint32_t n_begin, uint32_t n_end,
             const tsr_weight_desc& slice) override {
    if (device_.writes_in_place(*place_.buffer)) {
      sdk::packing::pack_rows(shape_, slice, n_begin, n_end,
                              place_.buffer->host() + place_.offset);
    } else {
      send_rows(slice, n_begin, n_end);
    }
    rows_ += n_end - n_begin;
  }

  void commit() override {
    if (rows_ != desc_.N) {
      throw sdk::Error(TSR_FAILED_PRECONDITION, std::to_string(rows_) + " of " +
                                                    std::to_string(desc_.N) +
                                                    " rows are packed");
    }
    device_.add_weight(
        id_, std::make_shared<PackedWeight>(device_, desc_, std::move(place_)));
  }

 private:
  void send_rows(const tsr_weight_desc& slice, uint32_t n_begin,
                 uint32_t n_end) {
    sdk::packing::check_rows(shape_, slice, n_begin, n_end);
    const WeightShape part =
        sdk::packing::shape_of_rows(shape_, n_end - n_begin);
    const std::unique_ptr<char[]> packed(new char[part.packed_bytes]);
    sdk::packing::pack_rows(part, slice, 0, part.N, packed.get());
    std::vector<HostCopy> copies;
    if (n_end - n_begin == shape_.N) {
      send(device_, {{packed.get(),
                      {place_.buffer.get(), place_.offset},
                      shape_.packed_bytes}});
      return;
    }
    const auto from = part.sections();
    const auto to = shape_.sections();
    for (size_t i = 0; i < from.size(); ++i) {
      const uint64_t place =
          to[i].begin + n_begin / kTileRows * to[i].tile_bytes;
      copies.push_back({packed.get() + from[i].begin,
                        {place_.buffer.get(), place_.offset + place},
                        part.num_tiles() * to[i].tile_bytes});
    }
    send(device_, copies);
  }

  VulkanDevice& device_;
  uint64_t id_;
  tsr_weight_desc desc_;
  std::vector<tsr_plane> planes_;
  WeightShape shape_;
  PackedPlace place_;
  std::atomic<uint64_t> rows_{0};
};

template <typename T>
std::shared_ptr<Buffer> upload(VulkanDevice& device,
                               const std::vector<T>& values) {
  if (values.empty()) return nullptr;
  const uint64_t bytes = values.size() * sizeof(T);
  auto buffer = std::make_shared<Buffer>(device.gpu(), bytes, Memory::kDevice);
  if (device.writes_in_place(*buffer)) {
    std::memcpy(buffer->host(), values.data(), bytes);
  } else {
    // The ring only reads it.
    auto* from = reinterpret_cast<char*>(const_cast<T*>(values.data()));
    device.ring().upload({{from, {buffer.get(), 0}, bytes}});
  }
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
  constexpr uint32_t kLayoutVersion = 2;
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
