// SPDX-License-Identifier: Apache-2.0
//
// Certificates that come with a plugin.  Each is a file of the folder
// "tsr_plugin_x.certificates" beside its library, and counts only with the
// signature of a key that this machine lists.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/signing/key_list.hpp"
#include "framework/host/signing/signed_file.hpp"
#include "framework/host/trust/certificate.hpp"

namespace tessera {

struct ShippedCertificate {
  std::string path;
  Signer signer;
  // OK: its signature fits and is of a listed key, and it is of this library
  // and kit.  Otherwise why it does not count, and `certificate` is empty.
  Status status;
  Certificate certificate;
};

// Where those of a library lie.
std::string shipped_folder(const std::string& library_path);

// All there are, in the order of their names.
std::vector<ShippedCertificate> list_shipped_certificates(
    const std::string& library_path, const std::string& sha256,
    const KeyList& keys);

// The one that holds for `subject`, if it counts.
std::optional<ShippedCertificate> find_shipped_certificate(
    const std::string& library_path, const CertifiedDevice& subject,
    const KeyList& keys);

// Puts a certificate and its signature into the library's folder; the path of
// the certificate.
//
// Errors  INVALID_ARGUMENT if `private_key` is no Ed25519 key in PEM;
//         FAILED_PRECONDITION if a file cannot be written
Result<std::string> ship_certificate(const Certificate& certificate,
                                     const std::string& library_path,
                                     const std::string& private_key);

}  // namespace tessera
