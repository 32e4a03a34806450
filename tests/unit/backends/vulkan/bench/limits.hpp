// SPDX-License-Identifier: Apache-2.0
//
// What a Vulkan device can do at most, by the probes of its backend.

#pragma once

#include <memory>
#include <vector>

#include "backends/vulkan/probe.hpp"
#include "backends/vulkan/runtime/pipelines.hpp"
#include "tests/unit/backends/device/bench/limits.hpp"

namespace tessera::vulkan {

using device_test::Rate;

class VulkanLimits final : public device_test::Limits {
 public:
  // On the first Vulkan device of this machine.  Throws sdk::Error.
  VulkanLimits();

  uint32_t compute_units() const override;
  Rate read() override;
  Rate fma() override;
  // The better of sums of four products of s8, and of int32 products.
  Rate int8() override;

 private:
  // Chains that were best of 1, 4, 8 and 16.
  uint32_t best_chains(Probe::Kind kind);
  Rate multiply(Probe::Kind kind, uint32_t chains);

  Gpu gpu_;
  Pipelines pipelines_;
  Probe probe_;
  bool reads_texels_ = false;
  uint32_t float_chains_ = 1;
  Probe::Kind int8_kind_ = Probe::Kind::kDot;
  uint32_t int8_chains_ = 1;
};

}  // namespace tessera::vulkan
