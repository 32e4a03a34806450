// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/device_under_test.hpp"

// Programs that run the suites in another way say so.
#ifndef TSR_OPTIONS
#define TSR_OPTIONS
#endif

namespace tessera::device_test {

// A panel of 8 rows, a block of 64; a tile of 16 columns, a pair; one vector of
// K, 256 decoded columns.
DeviceUnderTest device_under_test() {
  return {"opencl:0",
          "opencl-cache",
          {{1, 1, 1},
           {1, 17, 77},
           {1, 48, 600},
           {2, 16, 33},
           {8, 31, 256},
           {9, 33, 257},
           {65, 40, 520}},
          {TSR_OPTIONS}};
}

}  // namespace tessera::device_test
