// SPDX-License-Identifier: Apache-2.0
//
// A core's memories as bytes, and what each instruction does to them.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/npu_sim/execution/execute.hpp"

namespace tessera::npu {

// Layouts: L1 holds NZ (columns of 32 bytes, each with all rows), L0A ZZ and
// L0B ZN (fractals of 512 bytes), L0C NZ of 16x16 fractals, UB rows.
class CoreMemory {
 public:
  explicit CoreMemory(const Profile& profile);

  // Carries one instruction out; returns why it cannot, empty if it did.
  //
  // Requires  violation() has nothing against it.
  // Errors    throws sdk::Error INVALID_ARGUMENT if GM lacks what it touches.
  std::string run(const Instruction& one, Memory& gm);

 private:
  void copy_in(const Instruction& one, Memory& gm);
  std::string unzip(const Instruction& one, const Memory& gm);
  void load(const Instruction& one);
  std::string mmad(const Instruction& one);
  template <typename Read, typename Sum>
  void multiply(const Instruction& one);
  std::string fixpipe(const Instruction& one, Memory& gm);
  void drain(const Instruction& one);
  void copy_out(const Instruction& one, Memory& gm);

  std::vector<uint8_t>& space(Space name);

  std::array<size_t, 6> capacities_{};
  std::array<std::vector<uint8_t>, 6> spaces_;
};

}  // namespace tessera::npu
