// SPDX-License-Identifier: Apache-2.0

#include "framework/host/signing/signature.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

using ::testing::HasSubstr;

// RFC 8032, section 7.1, test 2: one byte, 0x72.
constexpr const char* kRfcKey =
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
constexpr const char* kRfcSignature =
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

TEST(Signature, AcceptsThePublishedExample) {
  EXPECT_TRUE(check_signature("\x72", {kRfcKey, kRfcSignature}).ok());
  EXPECT_EQ(check_signature("\x73", {kRfcKey, kRfcSignature}).code(),
            TSR_DATA_LOSS);
}

TEST(Signature, FitsOneTextAndOneKey) {
  const auto mine = make_key_pair();
  const auto other = make_key_pair();
  ASSERT_TRUE(mine.ok() && other.ok());
  EXPECT_NE(mine->public_key, other->public_key);
  const auto signature = sign_text("a manifest", mine->private_key);
  ASSERT_TRUE(signature.ok()) << signature.status().message();
  EXPECT_EQ(signature->public_key, mine->public_key);
  EXPECT_TRUE(check_signature("a manifest", *signature).ok());
  EXPECT_FALSE(check_signature("a manifesT", *signature).ok());
  EXPECT_FALSE(check_signature("", *signature).ok());
  EXPECT_FALSE(
      check_signature("a manifest", {other->public_key, signature->value})
          .ok());
}

TEST(Signature, IsReadAsItWasWritten) {
  const Signature signature{kRfcKey, kRfcSignature};
  const auto read = parse_signature(signature_text(signature));
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->public_key, kRfcKey);
  EXPECT_EQ(read->value, kRfcSignature);
}

// Cut anywhere, it is refused and never read past its end.
TEST(Signature, RefusesATruncatedFile) {
  const std::string text = signature_text({kRfcKey, kRfcSignature});
  for (size_t length = 0; length + 1 < text.size(); ++length) {
    EXPECT_FALSE(parse_signature(text.substr(0, length)).ok()) << length;
  }
}

TEST(Signature, SaysWhatIsWrong) {
  const std::string text = signature_text({kRfcKey, kRfcSignature});
  EXPECT_THAT(parse_signature("").status().message(), HasSubstr("first line"));
  EXPECT_THAT(parse_signature(text + "more").status().message(),
              HasSubstr("third line"));
  std::string upper = text;
  upper[upper.find("3d40") + 1] = 'D';
  EXPECT_THAT(parse_signature(upper).status().message(),
              HasSubstr("64 lower-case hex digits"));
}

TEST(Signature, RefusesWhatIsNoEd25519Key) {
  EXPECT_THAT(sign_text("x", "nonsense").status().message(),
              HasSubstr("no Ed25519 private key"));
  EXPECT_FALSE(sign_text("x", "").ok());
}

}  // namespace
}  // namespace tessera
