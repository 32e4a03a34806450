// SPDX-License-Identifier: Apache-2.0
//
// Says that it was built with another sanitizer than it was.

#include "sound.hpp"

FAULTY_QUERY {
  return faulty::spoiled_header([](tsr_plugin_header& header) {
    header.sanitizer = header.sanitizer == TSR_SANITIZER_THREAD
                           ? TSR_SANITIZER_ADDRESS
                           : TSR_SANITIZER_THREAD;
  });
}
