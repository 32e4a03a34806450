// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/device_under_test.hpp"

#include <stdlib.h>

// Programs that run the suites in another way say so.
#ifndef TSR_OPTIONS
#define TSR_OPTIONS
#endif
#ifndef TSR_IMPORTS_MEMORY
#define TSR_IMPORTS_MEMORY false
#endif

namespace tessera::device_test {

// A block of 8 rows, a tile of 64 columns of y; a chunk of K, the 1024 columns
// whose products f32 sums exactly.
DeviceUnderTest device_under_test() {
#ifndef TSR_NO_VALIDATION
  // Where the layer is installed, whatever it says fails the step.
  setenv("VK_INSTANCE_LAYERS", "VK_LAYER_KHRONOS_validation", 0);
#endif
  return {"vulkan:0",
          "vulkan-cache",
          {{1, 1, 1},
           {1, 65, 77},
           {1, 64, 1030},
           {2, 16, 33},
           {8, 31, 256},
           {9, 130, 257},
           {17, 40, 520}},
          {TSR_OPTIONS},
          TSR_IMPORTS_MEMORY};
}

}  // namespace tessera::device_test
