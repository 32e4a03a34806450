// SPDX-License-Identifier: Apache-2.0
//
// Whether a manifest's signature, or the lack of one, lets its plugin load.

#pragma once

#include <string>
#include <string_view>

#include "framework/base/status.hpp"
#include "framework/host/signing/key_list.hpp"

namespace tessera {

struct Signer {
  std::string public_key;  // empty: not signed
  std::string name;        // of a key in the list; empty: an unknown key
};

// Where the signature of a manifest lies.
inline std::string signature_path(const std::string& manifest_path) {
  return manifest_path + ".sig";
}

// Who signed the manifest at `manifest_path`, which reads `text`.
//
// Errors  INVALID_ARGUMENT if the signature is malformed;
//         DATA_LOSS if it does not fit;
//         FAILED_PRECONDITION if its file is not to be trusted, or `keys`
//         demands a signature that is missing or of an unknown key
Result<Signer> find_signer(const std::string& manifest_path,
                           std::string_view text, const KeyList& keys);

}  // namespace tessera
