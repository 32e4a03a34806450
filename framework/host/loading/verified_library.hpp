// SPDX-License-Identifier: Apache-2.0
//
// Everything that is checked before a library is opened.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/host/loading/manifest.hpp"
#include "framework/host/signing/signed_file.hpp"
#include "framework/host/trust/trust.hpp"

namespace tessera {

// A library that is what its manifest says.
struct VerifiedLibrary {
  Manifest manifest;
  TrustedFile file;
  Signer signer;
};

// Reads the manifest at `manifest_path` and checks the library beside it; see
// Plugin::load for the errors.
Result<VerifiedLibrary> verify_library(const std::string& manifest_path);
// The same with a key list in place of this machine's.
Result<VerifiedLibrary> verify_library(const std::string& manifest_path,
                                       const KeyList& keys);

// The same without a manifest, for a library that the user named: only what
// would end this process is checked.  The manifest's name is empty.  Its hash
// is `known_sha256` or, if that is empty, read from the file.
Result<VerifiedLibrary> examine_library(const std::string& library_path,
                                        const std::string& known_sha256);

}  // namespace tessera
