// SPDX-License-Identifier: Apache-2.0

#include "framework/host/signing/signed_file.hpp"

#include <sys/stat.h>

#include "framework/base/mapped_file.hpp"
#include "framework/host/signing/signature.hpp"
#include "framework/host/trust/trust.hpp"

namespace tessera {

Result<Signer> find_signer(const std::string& path, std::string_view text,
                           const KeyList& keys) {
  const std::string beside = signature_path(path);
  struct stat info {};
  if (lstat(beside.c_str(), &info) != 0) return Signer{};
  TSR_ASSIGN_OR_RETURN(const TrustedFile trusted, open_trusted(beside));
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(trusted.path));
  TSR_ASSIGN_OR_RETURN(
      const Signature signature,
      parse_signature({reinterpret_cast<const char*>(file.bytes().data()),
                       file.bytes().size()})
          .annotate(beside));
  TSR_RETURN_IF_ERROR(check_signature(text, signature).annotate(beside));
  Signer signer{signature.public_key, ""};
  const auto known = keys.names.find(signature.public_key);
  if (known != keys.names.end()) signer.name = known->second;
  return signer;
}

Status check_required(const Signer& signer, const std::string& path,
                      const KeyList& keys) {
  if (!keys.is_required || signer.is_trusted()) return {};
  const std::string why = signer.public_key.empty()
                              ? "no signature"
                              : "signed by the unknown key " +
                                    signer.public_key +
                                    ", no signature of a listed key";
  return {TSR_FAILED_PRECONDITION,
          path + ": " + why + ", and this machine's key list requires one"};
}

std::string signer_text(const Signer& signer) {
  if (signer.public_key.empty()) return "not signed";
  if (signer.is_trusted()) return "signed by " + signer.name;
  return "signed by unknown key " + signer.public_key.substr(0, 16);
}

}  // namespace tessera
