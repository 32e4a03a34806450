// SPDX-License-Identifier: Apache-2.0
//
// Speaks an ABI that does not exist yet, and no other.

#include "sound.hpp"

FAULTY_QUERY {
  return faulty::spoiled_header([](tsr_plugin_header& header) {
    header.abi_min = 2U << 16;
    header.abi_max = 2U << 16;
  });
}
