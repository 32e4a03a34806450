// SPDX-License-Identifier: Apache-2.0
//
// Its lowest ABI version is above its highest.

#include "sound.hpp"

FAULTY_QUERY {
  return faulty::spoiled_header([](tsr_plugin_header& header) {
    header.abi_min = (1U << 16) | 5;
    header.abi_max = 1U << 16;
  });
}
