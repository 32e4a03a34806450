// SPDX-License-Identifier: Apache-2.0
//
// Weights on the device: the host's planes, and the forms that programs made of
// them.

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/npu_sim/function/linear/weight.hpp"
#include "tessera/plugin.h"

namespace tessera::npu {

// A weight whose planes stay where they are.  Any thread.
class NpuWeight {
 public:
  explicit NpuWeight(const tsr_weight_desc& desc);
  NpuWeight(const NpuWeight&) = delete;
  NpuWeight& operator=(const NpuWeight&) = delete;

  const tsr_weight_desc& desc() const { return desc_; }

  // Made once, then shared by all programs.
  std::shared_ptr<const HalfWeight> half(Half type);
  std::shared_ptr<const IntegerWeight> integers();

 private:
  tsr_weight_desc desc_;
  std::vector<tsr_plane> planes_;
  std::mutex mutex_;
  std::shared_ptr<const HalfWeight> halves_[2];
  std::shared_ptr<const IntegerWeight> integers_;
};

// Every weight is used in place.
tsr_packed_info query_weight(const tsr_weight_desc& desc);

}  // namespace tessera::npu
