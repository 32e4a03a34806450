// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/device/weights.hpp"

#include "backends/npu_sim/function/linear/planes.hpp"
#include "tessera/record.hpp"

namespace tessera::npu {

NpuWeight::NpuWeight(const tsr_weight_desc& desc)
    : desc_(desc), planes_(sdk::Elements<tsr_plane>(desc.planes).all()) {
  desc_.next = nullptr;
  desc_.planes = {planes_.data(), static_cast<uint32_t>(planes_.size()),
                  sizeof(tsr_plane)};
  const Planes checked(desc_);  // throws for planes that do not fit
}

std::shared_ptr<const HalfWeight> NpuWeight::half(Half type) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto& kept = halves_[static_cast<size_t>(type)];
  if (kept == nullptr) {
    kept = std::make_shared<const HalfWeight>(make_half_weight(desc_, type));
  }
  return kept;
}

std::shared_ptr<const IntegerWeight> NpuWeight::integers() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (integers_ == nullptr) {
    integers_ =
        std::make_shared<const IntegerWeight>(make_integer_weight(desc_));
  }
  return integers_;
}

tsr_packed_info query_weight(const tsr_weight_desc& desc) {
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  info.bytes = 0;
  info.alignment = 64;
  info.n_multiple = desc.N;
  info.keeps_raw = 1;
  return info;
}

}  // namespace tessera::npu
