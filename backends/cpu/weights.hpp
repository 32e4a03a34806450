// SPDX-License-Identifier: Apache-2.0
//
// Weights on the cpu device: packed once, or read where the host has them.

#pragma once

#include <cstdint>
#include <memory>

#include "backends/cpu/device.hpp"
#include "backends/cpu/kernels/linear/weight.hpp"
#include "tessera/host_memory.hpp"

namespace tessera::cpu {

// A weight that programs may use, with the memory it lies in.
class PackedWeight {
 public:
  // `buffer` is null for a weight that is read in place.
  PackedWeight(LinearWeight weight, std::shared_ptr<sdk::HostBuffer> buffer)
      : weight_(std::move(weight)), buffer_(std::move(buffer)) {}

  const LinearWeight& linear() const { return weight_; }

 private:
  LinearWeight weight_;
  std::shared_ptr<sdk::HostBuffer> buffer_;
};

// tsr_api.weight_query, packing_begin and weight_create; see there.
tsr_packed_info query_weight(const tsr_weight_desc& desc);
std::unique_ptr<sdk::Packing> begin_packing(CpuDevice& device, uint64_t weight,
                                            const tsr_weight_desc& desc,
                                            uint64_t buffer, uint64_t offset);
std::shared_ptr<PackedWeight> create_weight(CpuDevice& device,
                                            const tsr_weight_desc& desc,
                                            uint64_t buffer, uint64_t offset);

}  // namespace tessera::cpu
