// SPDX-License-Identifier: Apache-2.0
//
// Kernels that no plan may use: the vendor declared that they fail, and the
// conformance kit saw it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/device/device_facts.hpp"
#include "framework/host/trust/certificate.hpp"
#include "tessera/plugin.h"

namespace tessera {

namespace sdk {
struct OpFacts;
}

// Of one device.  Any thread.
class BarredKernels {
 public:
  // A known failure of a case of level 1 bars the kernel that the case is of.
  // Errors: FAILED_PRECONDITION for any other, which bars the device whole.
  static Status check_device(const DeviceFacts& facts,
                             const std::vector<KnownFailure>& failures);

  // Requires  check_device() is OK
  BarredKernels(const DeviceFacts& facts,
                const std::vector<KnownFailure>& failures);

  // The shape of what a program may name later.
  void add_weight(uint64_t id, const tsr_weight_desc& desc);
  void add_pool(uint64_t id, const tsr_kv_desc& desc);

  // One refusal for each op of `record` that a step could run on a barred
  // kernel.  `weights` and `kv_pools` are in the program's order.
  std::vector<tsr_refusal> refusals(
      std::span<const std::byte> record,
      std::span<const tsr_weight_desc> weights,
      std::span<const tsr_kv_desc> kv_pools) const;
  // The same for a program of objects that were added.
  std::vector<tsr_refusal> refusals(std::span<const std::byte> record) const;

 private:
  // The barred kernel that some step would run on; null if there is none.
  const std::string* find_barred(const sdk::OpFacts& facts,
                                 uint32_t phases) const;

  struct Shape {
    tsr_weight_desc desc{};
    std::vector<tsr_plane> planes;
  };

  DeviceFacts facts_;
  std::map<std::string, std::string> reasons_;  // by the kernel's name
  mutable std::mutex mutex_;
  std::map<uint64_t, Shape> weights_;
  std::map<uint64_t, tsr_kv_desc> pools_;
};

}  // namespace tessera
