// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/packing/packed_weight.hpp"

#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/packing/planes.hpp"
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
        shape_(weight_shape(desc)),
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
    pack_rows(shape_, slice, n_begin, n_end, packed_);
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

// A plane of one row or one column.
template <typename T>
std::vector<T> vector_plane(const tsr_weight_desc& desc, uint32_t role) {
  std::vector<T> values;
  const tsr_plane plane = find_plane(desc, role);
  if (!exists(plane)) return values;
  if (plane.data == nullptr) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "plane of role " + std::to_string(role) + " has no data");
  }
  values.reserve(size_t{plane.rows} * plane.cols);
  for (uint32_t row = 0; row < plane.rows; ++row) {
    for (uint32_t col = 0; col < plane.cols; ++col) {
      values.push_back(load_as<T>(plane_row(plane, row), col));
    }
  }
  return values;
}

template <typename T>
std::shared_ptr<Buffer> upload(VulkanDevice& device,
                               const std::vector<T>& values) {
  if (values.empty()) return nullptr;
  const uint64_t bytes = values.size() * sizeof(T);
  auto buffer = std::make_shared<Buffer>(device.gpu(), bytes, Memory::kHost);
  std::memcpy(buffer->host(), values.data(), bytes);
  return buffer;
}

std::optional<StaticActivation> read_static_activation(
    const tsr_weight_desc& desc) {
  const auto scale = vector_plane<float>(desc, TSR_PLANE_ACT_SCALE);
  const auto inv = vector_plane<float>(desc, TSR_PLANE_ACT_INV);
  const auto zero = vector_plane<int32_t>(desc, TSR_PLANE_ACT_ZERO_POINT);
  if (scale.empty() || inv.empty()) return std::nullopt;
  if (!std::isfinite(scale[0]) || !std::isfinite(inv[0])) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "act_scale " + std::to_string(scale[0]) + ", act_inv " +
                         std::to_string(inv[0]));
  }
  return StaticActivation{scale[0], inv[0], zero.empty() ? 0 : zero[0]};
}

}  // namespace

PackedWeight::PackedWeight(VulkanDevice& device, const tsr_weight_desc& desc,
                           PackedPlace place)
    : desc_(desc),
      planes_(sdk::Elements<tsr_plane>(desc.planes).all()),
      shape_(weight_shape(desc)),
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
  const auto permutation = vector_plane<int32_t>(desc, TSR_PLANE_PERMUTATION);
  for (const int32_t feature : permutation) {
    if (feature < 0 || static_cast<uint32_t>(feature) >= shape_.K) {
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "permutation names feature " + std::to_string(feature) +
                           " of " + std::to_string(shape_.K));
    }
  }
  permutation_ = upload(device, permutation);
  input_multiplier_ =
      upload(device, vector_plane<float>(desc, TSR_PLANE_INPUT_MULTIPLIER));
  auto bias = vector_plane<int32_t>(desc, TSR_PLANE_QUANT_BIAS);
  if (!bias.empty()) bias.resize(size_t{shape_.num_tiles()} * kTileRows);
  quant_bias_ = upload(device, bias);
  static_activation_ = read_static_activation(desc);
}

tsr_packed_info query_weight(const tsr_weight_desc& desc) {
  const WeightShape shape = weight_shape(desc);
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  info.bytes = shape.packed_bytes;
  info.layout = 1;
  info.layout_version = kLayoutVersion;
  info.alignment = 128;
  // The tiles of a SPARSE weight are expanded together.
  const bool sparse = desc.format == TSR_WEIGHT_SPARSE_FIXED;
  info.n_multiple = sparse ? desc.N : kTileRows;
  return info;
}

std::unique_ptr<sdk::Packing> begin_packing(VulkanDevice& device,
                                            uint64_t weight,
                                            const tsr_weight_desc& desc,
                                            PackedPlace place) {
  return std::make_unique<VulkanPacking>(device, weight, desc,
                                         std::move(place));
}

}  // namespace tessera::vulkan
