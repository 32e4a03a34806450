// SPDX-License-Identifier: Apache-2.0
//
// Its header ends before get_api.

#include "sound.hpp"

FAULTY_QUERY {
  return faulty::spoiled_header(
      [](tsr_plugin_header& header) { header.struct_size = 16; });
}
