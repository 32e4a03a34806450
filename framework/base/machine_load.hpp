// SPDX-License-Identifier: Apache-2.0
//
// How much of the machine other processes took while something was timed.

#pragma once

#include <cstdint>

namespace tessera {

// Reads the kernel's counters when made, and again when asked.
class MachineLoad {
 public:
  MachineLoad();

  // The share of all cores' time since then that was spent, but not by this
  // process and its children; from 0 to 1, or -1 if the kernel does not tell.
  double others_share() const;

 private:
  double all_ = 0.0;   // seconds of all cores
  double busy_ = 0.0;  // of those, not idle
  double own_ = 0.0;
};

}  // namespace tessera
