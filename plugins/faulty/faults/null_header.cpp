// SPDX-License-Identifier: Apache-2.0
//
// Its query returns nothing.

#include "sound.hpp"

FAULTY_QUERY { return nullptr; }
