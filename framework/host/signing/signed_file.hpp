// SPDX-License-Identifier: Apache-2.0
//
// Who signed a file: the manifest of a plugin, or a certificate that came with
// it.

#pragma once

#include <string>
#include <string_view>

#include "framework/base/status.hpp"
#include "framework/host/signing/key_list.hpp"

namespace tessera {

struct Signer {
  std::string public_key;  // empty: not signed
  std::string name;        // of a key in the list; empty: an unknown key

  bool is_trusted() const { return !name.empty(); }
};

// Where the signature of a file lies.
inline std::string signature_path(const std::string& path) {
  return path + ".sig";
}

// Who signed the file at `path`, which reads `text`.
//
// Errors  INVALID_ARGUMENT if the signature is malformed;
//         DATA_LOSS if it does not fit;
//         FAILED_PRECONDITION if its file is not to be trusted
Result<Signer> find_signer(const std::string& path, std::string_view text,
                           const KeyList& keys);

// OK unless `keys` demands a signature and `signer` of the file at `path` is
// none of its keys.
// Errors: FAILED_PRECONDITION.
Status check_required(const Signer& signer, const std::string& path,
                      const KeyList& keys);

// "not signed", "signed by NAME", "signed by unknown key 0123456789abcdef"
std::string signer_text(const Signer& signer);

}  // namespace tessera
