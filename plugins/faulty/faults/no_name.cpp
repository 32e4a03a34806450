// SPDX-License-Identifier: Apache-2.0
//
// Its header has no name.

#include "sound.hpp"

FAULTY_QUERY {
  return faulty::spoiled_header(
      [](tsr_plugin_header& header) { header.name = nullptr; });
}
