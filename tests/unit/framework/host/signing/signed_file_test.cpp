// SPDX-License-Identifier: Apache-2.0
//
// What an attacker may try beside a signed file.

#include "framework/host/signing/signed_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framework/host/signing/signature.hpp"
#include "tests/unit/framework/host/temporary_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

class SignedFile : public ::testing::Test {
 protected:
  void SetUp() override {
    key_ = *make_key_pair();
    manifest_ = folder_.write("tsr_plugin_x.json", kText);
    trusted_.names[key_.public_key] = "the vendor";
    required_ = trusted_;
    required_.is_required = true;
  }
  void sign(const std::string& private_key) {
    folder_.write("tsr_plugin_x.json.sig",
                  signature_text(*sign_text(kText, private_key)));
  }
  Result<Signer> find(const KeyList& keys,
                      const std::string& text = kText) const {
    TSR_ASSIGN_OR_RETURN(Signer signer, find_signer(manifest_, text, keys));
    TSR_RETURN_IF_ERROR(check_required(signer, manifest_, keys));
    return signer;
  }

  static constexpr const char* kText = "{\"name\": \"x\"}";
  TemporaryFolder folder_;
  std::string manifest_;
  KeyPair key_;
  KeyList trusted_;
  KeyList required_;
};

TEST_F(SignedFile, NamesAListedKey) {
  sign(key_.private_key);
  const auto signer = find(required_);
  ASSERT_TRUE(signer.ok()) << signer.status().message();
  EXPECT_EQ(signer->name, "the vendor");
}

TEST_F(SignedFile, NeedsNoSignatureUnlessTheListSaysSo) {
  EXPECT_TRUE(find({}).ok());
  EXPECT_TRUE(find(trusted_)->public_key.empty());
  const Status refused = find(required_).status();
  EXPECT_EQ(refused.code(), TSR_FAILED_PRECONDITION);
  EXPECT_THAT(refused.message(), HasSubstr("no signature"));
}

TEST_F(SignedFile, AWrongKeyIsUnknown) {
  sign(make_key_pair()->private_key);
  const auto signer = find(trusted_);
  ASSERT_TRUE(signer.ok());
  EXPECT_TRUE(signer->name.empty());
  EXPECT_THAT(find(required_).status().message(), HasSubstr("unknown key"));
}

// Even where none is required: somebody changed something.
TEST_F(SignedFile, AManifestChangedAfterSigningIsRefused) {
  sign(key_.private_key);
  EXPECT_EQ(find({}, "{\"name\": \"y\"}").status().code(), TSR_DATA_LOSS);
}

TEST_F(SignedFile, ATrustedKeyPutOnAnothersSignatureIsRefused) {
  Signature forged = *sign_text(kText, make_key_pair()->private_key);
  forged.public_key = key_.public_key;
  folder_.write("tsr_plugin_x.json.sig", signature_text(forged));
  EXPECT_EQ(find(trusted_).status().code(), TSR_DATA_LOSS);
}

TEST_F(SignedFile, ATruncatedSignatureIsRefused) {
  const std::string text = signature_text(*sign_text(kText, key_.private_key));
  for (const size_t length : {size_t{0}, size_t{10}, text.size() - 2}) {
    folder_.write("tsr_plugin_x.json.sig", text.substr(0, length));
    EXPECT_EQ(find({}).status().code(), TSR_INVALID_ARGUMENT) << length;
  }
}

TEST_F(SignedFile, ASignatureThatOthersMayWriteIsRefused) {
  sign(key_.private_key);
  ASSERT_EQ(chmod(signature_path(manifest_).c_str(), 0666), 0);
  EXPECT_EQ(find({}).status().code(), TSR_FAILED_PRECONDITION);
}

TEST_F(SignedFile, ADanglingLinkIsNoMissingSignature) {
  ASSERT_EQ(symlink("nowhere", signature_path(manifest_).c_str()), 0);
  EXPECT_FALSE(find({}).ok());
}

}  // namespace
}  // namespace tessera
