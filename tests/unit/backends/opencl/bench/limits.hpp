// SPDX-License-Identifier: Apache-2.0
//
// What an OpenCL device can do at most: bytes read from memory and f32
// operations.

#pragma once

#include <memory>

#include "tests/unit/backends/device/bench/limits.hpp"

namespace tessera::opencl {

using device_test::Rate;

class OpenClLimits final : public device_test::Limits {
 public:
  // On the first OpenCL device of this machine.  Throws sdk::Error.
  OpenClLimits();
  ~OpenClLimits() override;
  OpenClLimits(const OpenClLimits&) = delete;
  OpenClLimits& operator=(const OpenClLimits&) = delete;

  uint32_t compute_units() const override;
  // Of 512 MiB, on a CPU in pages of 4 KiB or of 2 MiB.
  Rate read() override;
  Rate fma() override;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::opencl
