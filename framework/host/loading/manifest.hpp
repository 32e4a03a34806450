// SPDX-License-Identifier: Apache-2.0
//
// The manifest beside each library: what must hold before it is opened.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "framework/base/status.hpp"

namespace tessera {

struct Manifest {
  std::string name;      // "cpu"
  std::string library;   // a file name, without folders
  uint32_t abi_min = 0;  // (major << 16) | minor
  uint32_t abi_max = 0;
  std::string sha256;  // of the library; 64 lower-case hex digits
};

// Reads the text of a manifest.  Every key must be there, once, and no other.
// Errors: INVALID_ARGUMENT, naming the key.
Result<Manifest> parse_manifest(std::string_view text);

}  // namespace tessera
