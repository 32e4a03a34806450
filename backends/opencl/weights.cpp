// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/weights.hpp"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "backends/opencl/device.hpp"
#include "backends/opencl/runtime/program_builder.hpp"
#include "tessera/packing/pack_rows.hpp"
#include "tessera/record.hpp"

namespace tessera::opencl {
namespace {

// One packing transaction.  Rows are packed in host memory: the buffer's own,
// or, where the host does not see it, some that is copied at the end.
class OpenClPacking final : public sdk::Packing {
 public:
  OpenClPacking(OpenClDevice& device, uint64_t id, const tsr_weight_desc& desc,
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
      constexpr uint32_t kPage = 4096;
      staging_ = std::make_unique<sdk::HostBuffer>(device.host(),
                                                   shape_.packed_bytes, kPage);
      packed_ = staging_->at(0, shape_.packed_bytes);
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
      const OpenClDevice::QueueLock queue = device_.lock_queue();
      place_.buffer->write(queue.get(), place_.offset, shape_.packed_bytes,
                           packed_);
    }
    device_.add_weight(
        id_, std::make_shared<PackedWeight>(device_, desc_, std::move(place_)));
  }

 private:
  OpenClDevice& device_;
  uint64_t id_;
  tsr_weight_desc desc_;
  std::vector<tsr_plane> planes_;
  WeightShape shape_;
  PackedPlace place_;
  std::unique_ptr<sdk::HostBuffer> staging_;
  char* packed_ = nullptr;
  std::atomic<uint64_t> rows_{0};
};

template <typename T>
std::shared_ptr<Buffer> upload(OpenClDevice& device,
                               const std::vector<T>& values) {
  if (values.empty()) return nullptr;
  const uint64_t bytes = values.size() * sizeof(T);
  auto buffer = device.create_private(bytes);
  const OpenClDevice::QueueLock queue = device.lock_queue();
  buffer->write(queue.get(), 0, bytes, values.data());
  return buffer;
}

}  // namespace

PackedWeight::PackedWeight(OpenClDevice& device, const tsr_weight_desc& desc,
                           PackedPlace place)
    : desc_(desc),
      planes_(sdk::Elements<tsr_plane>(desc.planes).all()),
      shape_(sdk::packing::weight_shape(desc, kTileLayout)),
      place_(std::move(place)) {
  desc_.next = nullptr;
  place_.buffer->require_range(place_.offset, shape_.packed_bytes);
  read_small_planes(device, desc);
  for (tsr_plane& plane : planes_) plane.data = nullptr;
  // Weights stay on the device from now on: steps do not hand them over.
  if (place_.buffer->is_host_visible()) {
    const OpenClDevice::QueueLock queue = device.lock_queue();
    place_.buffer->to_device(queue.get(), place_.offset, shape_.packed_bytes);
    check_cl(clFinish(queue.get()), "clFinish");
  }
}

tsr_weight_desc PackedWeight::desc() const {
  tsr_weight_desc desc = desc_;
  desc.planes = {planes_.data(), static_cast<uint32_t>(planes_.size()),
                 sizeof(tsr_plane)};
  return desc;
}

void PackedWeight::read_small_planes(OpenClDevice& device,
                                     const tsr_weight_desc& desc) {
  const sdk::packing::SmallPlanes planes =
      sdk::packing::read_small_planes(desc, shape_);
  permutation_ = upload(device, planes.permutation);
  input_multiplier_ = upload(device, planes.input_multiplier);
  quant_bias_ = upload(device, planes.quant_bias);
  static_activation_ = planes.static_activation;
}

std::string kernel_constants(const WeightShape& shape, bool is_integer) {
  return define("CODE", static_cast<uint32_t>(shape.code)) +
         define("CODE_ZERO", shape.code_zero) +
         define("SCALE_BITS", shape.scale_bits) +
         define("HAS_ZERO", shape.has_zeros ? 1 : 0) +
         define("HAS_MIN", shape.has_mins ? 1 : 0) +
         define("INTEGER", is_integer ? 1 : 0) +
         define("GROUPED", shape.is_per_channel() ? 0 : 1);
}

tsr_packed_info query_weight(const tsr_weight_desc& desc) {
  constexpr uint32_t kLayoutVersion = 1;
  return sdk::packing::packed_info(
      sdk::packing::weight_shape(desc, kTileLayout), kLayoutVersion);
}

std::unique_ptr<sdk::Packing> begin_packing(OpenClDevice& device,
                                            uint64_t weight,
                                            const tsr_weight_desc& desc,
                                            PackedPlace place) {
  return std::make_unique<OpenClPacking>(device, weight, desc,
                                         std::move(place));
}

}  // namespace tessera::opencl
