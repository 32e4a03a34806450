// SPDX-License-Identifier: Apache-2.0
//
// The date that certificates and records carry.

#pragma once

#include <string>

namespace tessera::cli {

// "2026-11-21", in UTC.
std::string today();

}  // namespace tessera::cli
