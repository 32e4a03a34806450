// SPDX-License-Identifier: Apache-2.0
//
// A weight on a device, and how its rows reach the packing transaction.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/device/device_objects.hpp"
#include "tessera/plugin.h"

namespace tessera {

// Takes rows of a weight: a desc of N = n_end - n_begin whose planes carry data
// that starts at row n_begin.  The data is read before it returns.
using SliceConsumer = std::function<Status(const tsr_weight_desc& slice)>;

// Makes rows n_begin .. n_end - 1 and hands them to `consume`, once.  Several
// threads at once.
using SliceProducer = std::function<Status(uint32_t n_begin, uint32_t n_end,
                                           const SliceConsumer& consume)>;

class Weight {
 public:
  Weight() = default;

  uint64_t id() const { return object_.id(); }
  // What the device holds: of the packed form, or of the raw planes that it
  // reads in place.
  uint64_t packed_bytes() const { return packed_bytes_; }
  // Id of the packed layout; 0 in place.
  uint64_t layout() const { return layout_; }
  bool in_place() const { return in_place_; }

 private:
  friend class WeightLoader;

  // Raw planes that the device reads in place; empty if the caller keeps them.
  std::vector<std::unique_ptr<std::byte[]>> planes_;
  Buffer buffer_;
  DeviceObject object_;  // destroyed first
  uint64_t packed_bytes_ = 0;
  uint64_t layout_ = 0;
  bool in_place_ = false;
};

}  // namespace tessera
