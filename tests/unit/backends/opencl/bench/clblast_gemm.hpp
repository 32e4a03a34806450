// SPDX-License-Identifier: Apache-2.0
//
// CLBlast's product of f32 matrices, where it is installed.

#pragma once

#include <cstdint>
#include <memory>

namespace tessera::device_test {

class ClBlastGemm {
 public:
  static bool is_installed();

  // C = A * B^T of M x K and N x K, on the first OpenCL device.  Throws
  // sdk::Error.
  ClBlastGemm(uint32_t M, uint32_t N, uint32_t K);  // NOLINT(*-naming)
  ~ClBlastGemm();
  ClBlastGemm(const ClBlastGemm&) = delete;
  ClBlastGemm& operator=(const ClBlastGemm&) = delete;

  void run();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::device_test
