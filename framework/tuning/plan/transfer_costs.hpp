// SPDX-License-Identifier: Apache-2.0
//
// What a plan pays where it goes from one device to another.

#pragma once

#include <array>
#include <cstdint>

#include "framework/planner/problem/problem.hpp"
#include "framework/tuning/plan/cost_probe.hpp"

namespace tessera {

// `probe` outlives it.  One thread at a time.
class TransferCosts {
 public:
  // devices    those of the problem, in its order
  // out_bytes  of the tensor that segments pass on in a step, by phase
  // timed      false: what copying takes stands for all
  TransferCosts(CostProbe& probe, const DeviceList& devices,
                const std::array<uint64_t, 2>& out_bytes, bool timed)
      : probe_(probe),
        devices_(devices),
        out_bytes_(out_bytes),
        timed_(timed) {}

  // Those of each pair of devices, as if no other ran in the same steps; what
  // copying takes where one of them has no clock here, or does not run layers.
  // Times that are kept and trusted are taken from there.
  void fill(planner::Problem& problem);

 private:
  bool has_clock(const planner::Problem& problem, uint32_t device) const;
  planner::TransferCurve curve_of(uint32_t from, uint32_t to,
                                  const SwitchTimes& times,
                                  const std::array<size_t, 2>& ends) const;

  CostProbe& probe_;
  const DeviceList& devices_;
  std::array<uint64_t, 2> out_bytes_;
  bool timed_;
};

}  // namespace tessera
