// SPDX-License-Identifier: Apache-2.0
//
// Its header has no get_api.

#include "sound.hpp"

FAULTY_QUERY {
  return faulty::spoiled_header(
      [](tsr_plugin_header& header) { header.get_api = nullptr; });
}
