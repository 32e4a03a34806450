// SPDX-License-Identifier: Apache-2.0
//
// A certificate beside a library: what makes it count, and what an attacker may
// try.

#include "framework/host/signing/shipped_certificate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "framework/host/signing/signature.hpp"
#include "tests/unit/framework/host/temporary_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

class ShippedCertificates : public ::testing::Test {
 protected:
  void SetUp() override {
    certificate_.subject = {std::string(64, 'a'), "npu:0", "NPU", "24.1"};
    certificate_.plugin = "npu";
    certificate_.level = 2;
    certificate_.levels = {{0, 36, 1, 37}};
    trusted_.names[vendor_.public_key] = "the vendor";
    ship(certificate_);
  }
  void ship(const Certificate& certificate) {
    const auto path =
        ship_certificate(certificate, library_, vendor_.private_key);
    ASSERT_TRUE(path.ok()) << path.status().message();
    path_ = *path;
  }
  bool counts(const CertifiedDevice& subject) const {
    return find_shipped_certificate(library_, subject, trusted_).has_value();
  }
  bool counts() const { return counts(certificate_.subject); }
  // Why the only certificate does not count.
  std::string reason(const KeyList& keys) const {
    const auto list =
        list_shipped_certificates(library_, certificate_.subject.sha256, keys);
    return list.size() == 1 ? list[0].status.message()
                            : std::to_string(list.size()) + " certificates";
  }

  TemporaryFolder folder_;
  const std::string library_ = folder_ / "tsr_plugin_npu.so";
  const KeyPair vendor_ = *make_key_pair();
  KeyList trusted_;
  Certificate certificate_;
  std::string path_;
};

TEST_F(ShippedCertificates, CountWithATrustedSignature) {
  const auto found =
      find_shipped_certificate(library_, certificate_.subject, trusted_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->signer.name, "the vendor");
  EXPECT_EQ(certificate_json(found->certificate),
            certificate_json(certificate_));
  EXPECT_THAT(path_, HasSubstr("/tsr_plugin_npu.certificates/aaaa"));
  EXPECT_EQ(reason(trusted_), "");
}

TEST_F(ShippedCertificates, OfUnlistedKeysDoNotCount) {
  EXPECT_FALSE(find_shipped_certificate(library_, certificate_.subject, {}));
  EXPECT_THAT(reason({}), HasSubstr("unknown key"));
}

TEST_F(ShippedCertificates, WithoutASignatureDoNotCount) {
  std::filesystem::remove(path_ + ".sig");
  EXPECT_FALSE(counts());
  EXPECT_THAT(reason(trusted_), HasSubstr("not signed"));
}

TEST_F(ShippedCertificates, ThatWereChangedDoNotCount) {
  std::string text = read_file(path_);
  const size_t at = text.find("\"level\": 2");
  ASSERT_NE(at, std::string::npos);
  text[at + 9] = '4';
  std::filesystem::remove(path_);
  std::filesystem::copy_file(folder_.write("changed", text), path_);
  EXPECT_FALSE(counts());
  EXPECT_THAT(reason(trusted_), HasSubstr("not that of key"));
}

TEST_F(ShippedCertificates, HoldForOneLibraryDeviceHardwareAndDriverAlone) {
  const auto [sha256, device, hardware, driver] = certificate_.subject;
  EXPECT_FALSE(counts({std::string(64, 'b'), device, hardware, driver}));
  EXPECT_FALSE(counts({sha256, "npu:910b", hardware, driver}));
  EXPECT_FALSE(counts({sha256, device, "another NPU", driver}));
  EXPECT_FALSE(counts({sha256, device, hardware, "24.2"}));
}

// A vendor cannot know in which slot the user's card is.
TEST_F(ShippedCertificates, HoldForEveryCardOfAKind) {
  CertifiedDevice first = certificate_.subject;
  first.device = "npu:0";
  certificate_.subject = first;
  ship(certificate_);
  EXPECT_TRUE(counts(first));
  EXPECT_TRUE(counts({first.sha256, "npu:12", first.hardware, first.driver}));
  EXPECT_TRUE(counts({first.sha256, "npu", first.hardware, first.driver}));
  EXPECT_FALSE(counts({first.sha256, "npu:1x", first.hardware, first.driver}));
}

// An older build's certificate, under the name that the new build looks for.
TEST_F(ShippedCertificates, CannotBeRenamedToAnotherLibrary) {
  CertifiedDevice other = certificate_.subject;
  other.sha256 = std::string(64, 'b');
  const std::string renamed =
      shipped_folder(library_) + "/" + certificate_file_name(other);
  std::filesystem::rename(path_, renamed);
  std::filesystem::rename(path_ + ".sig", renamed + ".sig");
  EXPECT_FALSE(counts(other));
  const auto list = list_shipped_certificates(library_, other.sha256, trusted_);
  ASSERT_EQ(list.size(), 1U);
  EXPECT_THAT(list[0].status.message(), HasSubstr("of library aaaa"));
}

TEST_F(ShippedCertificates, OfAnotherKitCountNoMore) {
  certificate_.kit_version = kKitVersion - 1;
  ship(certificate_);
  EXPECT_FALSE(counts());
  EXPECT_THAT(reason(trusted_), HasSubstr("of kit"));
}

// The signature of a manifest vouches for no level.
TEST_F(ShippedCertificates, AreNotReplacedByOtherThingsTheVendorSigned) {
  const std::string manifest = R"({"format": 1, "name": "npu"})";
  std::filesystem::copy_file(folder_.write("manifest", manifest), path_,
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(
      folder_.write("signature",
                    signature_text(*sign_text(manifest, vendor_.private_key))),
      path_ + ".sig", std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(counts());
  EXPECT_THAT(reason(trusted_), HasSubstr("another format"));
}

TEST_F(ShippedCertificates, ThatOthersMayWriteDoNotCount) {
  ASSERT_EQ(chmod(path_.c_str(), 0666), 0);
  EXPECT_FALSE(counts());
  EXPECT_THAT(reason(trusted_), HasSubstr("may be written by others"));
}

}  // namespace
}  // namespace tessera
