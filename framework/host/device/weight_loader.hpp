// SPDX-License-Identifier: Apache-2.0
//
// The packing transaction of one weight: query, buffer, slices, commit.

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/device/weight.hpp"
#include "tessera/plugin.h"

namespace tessera {

class Device;

// Rows n_begin .. n_end - 1 of a weight's planes: those that serve all rows,
// and those along K, are whole.
//
// Requires  the range cuts through no plane's blocks
std::vector<tsr_plane> cut_planes(const std::vector<tsr_plane>& planes,
                                  uint32_t N, uint32_t n_begin, uint32_t n_end);

// How many rows a slice of `desc` should have: a multiple of `n_multiple` and
// of every plane's blocks, of a few megabytes, and few enough that all threads
// have work.
uint32_t choose_slice_rows(const tsr_weight_desc& desc, uint32_t n_multiple,
                           uint32_t num_threads);

// Serves one call of Device::load_weight.
class WeightLoader {
 public:
  WeightLoader(Device& device, const tsr_weight_desc& desc);

  // Every plane carries data.
  Result<Weight> load();
  // The small planes carry data; `produce` makes the rows.
  Result<Weight> load(const SliceProducer& produce);

 private:
  using Body = std::function<Status(uint32_t n_begin, uint32_t n_end)>;

  tsr_weight_desc desc_of(const std::vector<tsr_plane>& planes,
                          uint32_t rows) const;
  Status query();
  Result<Weight> create_in_place();
  Result<Weight> pack(const SliceProducer& produce);
  Status pack_slices(tsr_packing* packing, const SliceProducer& produce);
  // Makes all rows with `produce` and keeps them: planes_ carry data then.
  Status gather(const SliceProducer& produce);
  Status store(const tsr_weight_desc& slice, uint32_t n_begin, uint32_t n_end);
  // Calls `body` for slices of all rows on the threads of the pool, until one
  // fails.
  Status for_slices(const Body& body);

  Device& device_;
  tsr_weight_desc desc_;
  std::vector<tsr_plane> planes_;
  std::vector<std::unique_ptr<std::byte[]>> gathered_;
  tsr_packed_info info_{};
};

}  // namespace tessera
