// SPDX-License-Identifier: Apache-2.0

#include "framework/host/signing/signed_manifest.hpp"

#include <sys/stat.h>

#include "framework/base/mapped_file.hpp"
#include "framework/host/signing/signature.hpp"
#include "framework/host/trust/trust.hpp"

namespace tessera {
namespace {

Status refuse(const std::string& why) {
  return {TSR_FAILED_PRECONDITION,
          why + ", and this machine's key list requires one"};
}

}  // namespace

Result<Signer> find_signer(const std::string& manifest_path,
                           std::string_view text, const KeyList& keys) {
  const std::string path = signature_path(manifest_path);
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    if (keys.is_required) return refuse(manifest_path + ": no signature");
    return Signer{};
  }
  TSR_ASSIGN_OR_RETURN(const TrustedFile trusted, open_trusted(path));
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(trusted.path));
  TSR_ASSIGN_OR_RETURN(
      const Signature signature,
      parse_signature({reinterpret_cast<const char*>(file.bytes().data()),
                       file.bytes().size()})
          .annotate(path));
  TSR_RETURN_IF_ERROR(check_signature(text, signature).annotate(path));
  Signer signer{signature.public_key, ""};
  const auto known = keys.names.find(signature.public_key);
  if (known != keys.names.end()) {
    signer.name = known->second;
  } else if (keys.is_required) {
    return refuse(path + ": signed by the unknown key " + signature.public_key +
                  ", no signature of a listed key");
  }
  return signer;
}

}  // namespace tessera
