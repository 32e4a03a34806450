// SPDX-License-Identifier: Apache-2.0

#include "framework/host/trust/sha256.hpp"

#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <vector>

namespace tessera {
namespace {

struct FreeDigest {
  void operator()(EVP_MD_CTX* digest) const { EVP_MD_CTX_free(digest); }
};
using Digest = std::unique_ptr<EVP_MD_CTX, FreeDigest>;

std::string hex(const unsigned char* bytes, size_t count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * count);
  for (size_t i = 0; i < count; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

Status no_hash() { return {TSR_INTERNAL, "libcrypto computes no SHA-256"}; }

}  // namespace

Result<std::string> sha256_of_file(int fd) {
  constexpr size_t kChunkBytes = size_t{1} << 20;
  const Digest digest(EVP_MD_CTX_new());
  if (!digest || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) {
    return no_hash();
  }
  std::vector<unsigned char> chunk(kChunkBytes);
  for (off_t offset = 0;;) {
    const ssize_t count = pread(fd, chunk.data(), chunk.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Status(TSR_FAILED_PRECONDITION, strerror(errno));
    if (count == 0) break;
    const auto bytes = static_cast<size_t>(count);
    if (EVP_DigestUpdate(digest.get(), chunk.data(), bytes) != 1) {
      return no_hash();
    }
    offset += count;
  }
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  if (EVP_DigestFinal_ex(digest.get(), sum, &bytes) != 1) return no_hash();
  return hex(sum, bytes);
}

}  // namespace tessera
