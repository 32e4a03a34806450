// SPDX-License-Identifier: Apache-2.0

#include "framework/host/signing/signature.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace tessera {
namespace {

constexpr std::string_view kFirstLine = "tessera-signature 1";
constexpr size_t kKeyBytes = 32;
constexpr size_t kSignatureBytes = 64;

template <auto Free>
struct Freer {
  template <typename Object>
  void operator()(Object* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using Digest = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Bytes = std::vector<unsigned char>;

Status bad(const std::string& message) {
  return {TSR_INVALID_ARGUMENT, "signature: " + message};
}

Status failed(const char* what) {
  return {TSR_INTERNAL, std::string("libcrypto: ") + what + " failed"};
}

std::string to_hex(const Bytes& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// False unless `text` is exactly `count` bytes in lower-case hex.
bool from_hex(std::string_view text, size_t count, Bytes& out_bytes) {
  if (text.size() != 2 * count) return false;
  out_bytes.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out_bytes[i] = static_cast<unsigned char>(high << 4 | low);
  }
  return true;
}

// The next line of `text`, without its end.
std::string_view take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// What follows `word` and a space; empty if the line begins otherwise.
std::string_view value_of(std::string_view line, std::string_view word) {
  if (line.substr(0, word.size()) != word || line.size() <= word.size() ||
      line[word.size()] != ' ') {
    return {};
  }
  return line.substr(word.size() + 1);
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Result<std::string> public_key_of(const Key& key) {
  Bytes bytes(kKeyBytes);
  size_t count = bytes.size();
  if (EVP_PKEY_get_raw_public_key(key.get(), bytes.data(), &count) != 1 ||
      count != kKeyBytes) {
    return failed("reading a public key");
  }
  return to_hex(bytes);
}

// A key that wants a passphrase is refused: nobody is asked for one here.
int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

std::string signature_text(const Signature& signature) {
  return std::string(kFirstLine) + "\nkey " + signature.public_key +
         "\ned25519 " + signature.value + "\n";
}

Result<Signature> parse_signature(std::string_view text) {
  if (take_line(text) != kFirstLine) {
    return bad("the first line is not \"" + std::string(kFirstLine) + "\"");
  }
  Signature signature;
  signature.public_key = value_of(take_line(text), "key");
  signature.value = value_of(take_line(text), "ed25519");
  Bytes bytes;
  if (!from_hex(signature.public_key, kKeyBytes, bytes)) {
    return bad("\"key\" is not 64 lower-case hex digits");
  }
  if (!from_hex(signature.value, kSignatureBytes, bytes)) {
    return bad("\"ed25519\" is not 128 lower-case hex digits");
  }
  if (!text.empty()) return bad("something follows the third line");
  return signature;
}

Result<Signature> sign_text(std::string_view text,
                            std::string_view private_key) {
  const Bio bio(BIO_new_mem_buf(private_key.data(),
                                static_cast<int>(private_key.size())));
  const Key key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519) {
    return Status(TSR_INVALID_ARGUMENT,
                  "no Ed25519 private key in PEM without a passphrase");
  }
  Signature signature;
  TSR_ASSIGN_OR_RETURN(signature.public_key, public_key_of(key));
  const Digest digest(EVP_MD_CTX_new());
  Bytes bytes(kSignatureBytes);
  size_t count = bytes.size();
  if (!digest ||
      EVP_DigestSignInit(digest.get(), nullptr, nullptr, nullptr, key.get()) !=
          1 ||
      EVP_DigestSign(digest.get(), bytes.data(), &count, bytes_of(text),
                     text.size()) != 1 ||
      count != kSignatureBytes) {
    return failed("signing");
  }
  signature.value = to_hex(bytes);
  return signature;
}

Status check_signature(std::string_view text, const Signature& signature) {
  Bytes key_bytes;
  Bytes value;
  if (!from_hex(signature.public_key, kKeyBytes, key_bytes) ||
      !from_hex(signature.value, kSignatureBytes, value)) {
    return bad("key or value of another length");
  }
  const Key key(EVP_PKEY_new_raw_public_key(
      EVP_PKEY_ED25519, nullptr, key_bytes.data(), key_bytes.size()));
  const Digest digest(EVP_MD_CTX_new());
  if (!key || !digest ||
      EVP_DigestVerifyInit(digest.get(), nullptr, nullptr, nullptr,
                           key.get()) != 1) {
    return failed("checking a signature");
  }
  if (EVP_DigestVerify(digest.get(), value.data(), value.size(), bytes_of(text),
                       text.size()) == 1) {
    return {};
  }
  return {TSR_DATA_LOSS, "signature: not that of key " + signature.public_key +
                             " for this text"};
}

Result<KeyPair> make_key_pair() {
  const KeyContext context(EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr));
  EVP_PKEY* made = nullptr;
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1 ||
      EVP_PKEY_keygen(context.get(), &made) != 1) {
    return failed("making a key");
  }
  const Key key(made);
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr,
                                       0, nullptr, nullptr) != 1) {
    return failed("writing a key");
  }
  char* data = nullptr;
  const long bytes = BIO_get_mem_data(bio.get(), &data);
  KeyPair pair;
  pair.private_key.assign(data, static_cast<size_t>(bytes));
  TSR_ASSIGN_OR_RETURN(pair.public_key, public_key_of(key));
  return pair;
}

}  // namespace tessera
