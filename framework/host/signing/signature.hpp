// SPDX-License-Identifier: Apache-2.0
//
// Ed25519 signatures of manifests and certificates.  Both hold the hash of
// their library, so a signature speaks for that as well.

#pragma once

#include <string>
#include <string_view>

#include "framework/base/status.hpp"

namespace tessera {

// What the file beside the signed one, "tsr_plugin_x.json.sig", holds:
//
//   tessera-signature 1
//   key <64 hex digits of the public key>
//   ed25519 <128 hex digits>
struct Signature {
  std::string public_key;  // lower-case hex digits
  std::string value;       // likewise
};

std::string signature_text(const Signature& signature);
// Errors: INVALID_ARGUMENT, saying what is wrong.
Result<Signature> parse_signature(std::string_view text);

// Signs with a private key in PEM.
// Errors: INVALID_ARGUMENT if that is no Ed25519 key without a passphrase.
Result<Signature> sign_text(std::string_view text,
                            std::string_view private_key);

// Errors: DATA_LOSS if the signature is not that of its key for `text`.
Status check_signature(std::string_view text, const Signature& signature);

// A new private key in PEM, and its public key in hex.
struct KeyPair {
  std::string private_key;
  std::string public_key;
};
Result<KeyPair> make_key_pair();

}  // namespace tessera
