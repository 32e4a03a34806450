// SPDX-License-Identifier: Apache-2.0
//
// Where CLBlast is not installed.

#include "tessera/error.hpp"
#include "tests/unit/backends/opencl/bench/clblast_gemm.hpp"

namespace tessera::device_test {

class ClBlastGemm::State {};

bool ClBlastGemm::is_installed() { return false; }
ClBlastGemm::ClBlastGemm(uint32_t /*M*/, uint32_t /*N*/, uint32_t /*K*/) {
  throw sdk::Error(TSR_UNAVAILABLE, "CLBlast is not installed");
}
ClBlastGemm::~ClBlastGemm() = default;
void ClBlastGemm::run() {}

}  // namespace tessera::device_test
