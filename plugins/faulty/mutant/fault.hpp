// SPDX-License-Identifier: Apache-2.0
//
// Which fault the mutant has: the environment's TSR_MUTANT names it.

#pragma once

#include <cstdlib>
#include <cstring>

namespace mutant {

// True if the plugin is to have the fault of that name.
inline bool has(const char* fault) {
  static const char* const chosen = std::getenv("TSR_MUTANT");
  return chosen != nullptr && std::strcmp(chosen, fault) == 0;
}

}  // namespace mutant
