// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/verified_library.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <utility>
#include <vector>

#include "framework/host/loading/elf_file.hpp"
#include "framework/host/loading/negotiate.hpp"
#include "framework/host/trust/sha256.hpp"

namespace tessera {
namespace {

constexpr size_t kMaxManifestBytes = size_t{64} << 10;

Result<std::string> read_text(int fd) {
  std::vector<char> text(kMaxManifestBytes + 1);
  size_t length = 0;
  while (length < text.size()) {
    const ssize_t count = read(fd, text.data() + length, text.size() - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Status(TSR_FAILED_PRECONDITION, strerror(errno));
    if (count == 0) return std::string(text.data(), length);
    length += static_cast<size_t>(count);
  }
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("larger than {} bytes", kMaxManifestBytes));
}

Status check_name(const std::string& path, const Manifest& manifest) {
  const std::string file = path.substr(path.rfind('/') + 1);
  const std::string wanted = "tsr_plugin_" + manifest.name + ".json";
  if (file == wanted) return {};
  return {TSR_INVALID_ARGUMENT, "manifest: \"name\" is \"" + manifest.name +
                                    "\", but the file is not " + wanted};
}

Status check_abi(const Manifest& manifest) {
  if (manifest.abi_min <= kHostAbi.max && manifest.abi_max >= kHostAbi.min) {
    return {};
  }
  return {TSR_FAILED_PRECONDITION,
          fmt::format("built for ABI {} to {}; this host speaks {} to {}",
                      abi_version_name(manifest.abi_min),
                      abi_version_name(manifest.abi_max),
                      abi_version_name(kHostAbi.min),
                      abi_version_name(kHostAbi.max))};
}

// The runtime of a sanitizer that comes late ends the process, so such a
// library must not even be opened.
Status check_runtimes(int fd) {
  constexpr struct {
    const char* library;
    uint32_t sanitizer;
  } kRuntimes[] = {{"libasan.so", TSR_SANITIZER_ADDRESS},
                   {"libtsan.so", TSR_SANITIZER_THREAD}};
  TSR_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                       needed_libraries(fd));
  for (const std::string& name : names) {
    for (const auto& runtime : kRuntimes) {
      if (name.rfind(runtime.library, 0) == 0 &&
          runtime.sanitizer != host_sanitizer()) {
        return {TSR_FAILED_PRECONDITION,
                "built with a sanitizer that this host is not: needs " + name};
      }
    }
  }
  return {};
}

Status check_library(const TrustedFile& file, const Manifest& manifest) {
  TSR_ASSIGN_OR_RETURN(const std::string sha256, sha256_of_file(file.fd.get()));
  if (sha256 != manifest.sha256) {
    return {TSR_DATA_LOSS,
            "sha256 is " + sha256 + ", the manifest says " + manifest.sha256};
  }
  TSR_RETURN_IF_ERROR(check_library_file(file.fd.get()));
  return check_runtimes(file.fd.get());
}

}  // namespace

Result<VerifiedLibrary> verify_library(const std::string& manifest_path) {
  TSR_ASSIGN_OR_RETURN(const KeyList keys, trusted_keys());
  return verify_library(manifest_path, keys);
}

Result<VerifiedLibrary> verify_library(const std::string& manifest_path,
                                       const KeyList& keys) {
  TSR_ASSIGN_OR_RETURN(TrustedFile json, open_trusted(manifest_path));
  TSR_ASSIGN_OR_RETURN(const std::string text, read_text(json.fd.get()));
  TSR_ASSIGN_OR_RETURN(Signer signer, find_signer(json.path, text, keys));
  TSR_RETURN_IF_ERROR(check_required(signer, json.path, keys));
  TSR_ASSIGN_OR_RETURN(Manifest manifest, parse_manifest(text));
  TSR_RETURN_IF_ERROR(check_name(json.path, manifest));
  TSR_RETURN_IF_ERROR(check_abi(manifest));
  const std::string folder = json.path.substr(0, json.path.rfind('/') + 1);
  TSR_ASSIGN_OR_RETURN(TrustedFile file,
                       open_trusted(folder + manifest.library));
  TSR_RETURN_IF_ERROR(check_library(file, manifest).annotate(file.path));
  return VerifiedLibrary{std::move(manifest), std::move(file),
                         std::move(signer)};
}

Result<VerifiedLibrary> examine_library(const std::string& library_path,
                                        const std::string& known_sha256) {
  VerifiedLibrary library;
  char* real = realpath(library_path.c_str(), nullptr);
  if (real == nullptr) {
    return Status(TSR_NOT_FOUND, library_path + ": " + strerror(errno));
  }
  library.file.path = real;
  free(real);
  library.file.fd =
      FileDescriptor(open(library.file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!library.file.fd.is_open()) {
    return Status(TSR_NOT_FOUND, library.file.path + ": " + strerror(errno));
  }
  const int fd = library.file.fd.get();
  library.manifest.sha256 = known_sha256;
  if (known_sha256.empty()) {
    TSR_ASSIGN_OR_RETURN(library.manifest.sha256, sha256_of_file(fd));
  }
  TSR_RETURN_IF_ERROR(check_library_file(fd).annotate(library.file.path));
  TSR_RETURN_IF_ERROR(check_runtimes(fd).annotate(library.file.path));
  return library;
}

}  // namespace tessera
