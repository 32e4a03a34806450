// SPDX-License-Identifier: Apache-2.0

#include "framework/host/signing/shipped_certificate.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/host/signing/signature.hpp"
#include "framework/host/trust/state_file.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

// What nobody trusted has signed is not even parsed.
Result<Certificate> read_signed(const std::string& path,
                                const std::string& sha256, const KeyList& keys,
                                Signer& out_signer) {
  TSR_ASSIGN_OR_RETURN(const std::string text, read_state_file(path));
  TSR_ASSIGN_OR_RETURN(out_signer, find_signer(path, text, keys));
  if (!out_signer.is_trusted()) {
    return Status(TSR_FAILED_PRECONDITION,
                  signer_text(out_signer) + ", and not by a listed key");
  }
  TSR_ASSIGN_OR_RETURN(Certificate certificate, parse_certificate(text));
  CertifiedDevice of_library = certificate.subject;
  of_library.sha256 = sha256;
  TSR_RETURN_IF_ERROR(check_holds(certificate, of_library));
  return certificate;
}

ShippedCertificate examine(const std::string& path, const std::string& sha256,
                           const KeyList& keys) {
  ShippedCertificate shipped;
  shipped.path = path;
  Result<Certificate> read = read_signed(path, sha256, keys, shipped.signer);
  shipped.status = read.status();
  if (read.ok()) shipped.certificate = std::move(*read);
  return shipped;
}

}  // namespace

std::string shipped_folder(const std::string& library_path) {
  return fs::path(library_path).replace_extension(".certificates").string();
}

std::vector<ShippedCertificate> list_shipped_certificates(
    const std::string& library_path, const std::string& sha256,
    const KeyList& keys) {
  std::vector<ShippedCertificate> list;
  std::error_code code;
  for (fs::directory_iterator entry(shipped_folder(library_path), code), end;
       !code && entry != end; entry.increment(code)) {
    if (entry->path().extension() != ".json") continue;
    list.push_back(examine(entry->path().string(), sha256, keys));
  }
  std::sort(list.begin(), list.end(),
            [](const ShippedCertificate& a, const ShippedCertificate& b) {
              return a.path < b.path;
            });
  return list;
}

std::optional<ShippedCertificate> find_shipped_certificate(
    const std::string& library_path, const CertifiedDevice& subject,
    const KeyList& keys) {
  if (library_path.empty()) return std::nullopt;
  ShippedCertificate shipped = examine(
      shipped_folder(library_path) + "/" + certificate_file_name(subject),
      subject.sha256, keys);
  if (!shipped.status.ok()) return std::nullopt;
  if (!check_holds(shipped.certificate, subject).ok()) return std::nullopt;
  return shipped;
}

Result<std::string> ship_certificate(const Certificate& certificate,
                                     const std::string& library_path,
                                     const std::string& private_key) {
  const std::string text = certificate_json(certificate);
  TSR_ASSIGN_OR_RETURN(const Signature signature, sign_text(text, private_key));
  const std::string folder = shipped_folder(library_path);
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) {
    return Status(TSR_FAILED_PRECONDITION, folder + ": " + code.message());
  }
  std::string path = folder + "/" + certificate_file_name(certificate.subject);
  TSR_RETURN_IF_ERROR(write_file_atomically(path, text));
  TSR_RETURN_IF_ERROR(
      write_file_atomically(signature_path(path), signature_text(signature)));
  return path;
}

}  // namespace tessera
