// SPDX-License-Identifier: Apache-2.0
//
// A weight made from bytes that were packed before, as a cache of packs on disk
// would give them back: elsewhere, and without the planes.

#pragma once

#include <memory>

#include "framework/base/status.hpp"
#include "framework/host/device/device.hpp"

namespace tessera::conformance {

class RepackedWeight {
 public:
  // Packs `desc`, copies the bytes to another buffer, destroys the weight and
  // makes it again from the copy.
  //
  // Requires  every plane of `desc` carries data
  // Errors    UNAVAILABLE if the device packs nothing, or reads the planes, too
  static Result<RepackedWeight> make(const std::shared_ptr<Device>& device,
                                     const tsr_weight_desc& desc);

  uint64_t id() const { return object_.id(); }

 private:
  Buffer buffer_;  // outlives the weight
  DeviceObject object_;
};

}  // namespace tessera::conformance
