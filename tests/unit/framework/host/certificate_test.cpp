// SPDX-License-Identifier: Apache-2.0

#include "framework/host/trust/certificate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace tessera {
namespace {

using testing::HasSubstr;

Certificate sample() {
  Certificate certificate;
  certificate.subject = {std::string(64, 'a'), "npu:310p/../../x", "NPU 310P",
                         "24.1"};
  certificate.plugin = "npu";
  certificate.version = "1.2";
  certificate.issued = "2026-11-21";
  certificate.level = 2;
  certificate.levels = {{0, 36, 1, 37}, {1, 900, 4, 904}};
  certificate.known_failures = {{"L1/linear/M1", "#41 \"rounding\""}};
  certificate.figures = {{"estimate_rank", 0.97}};
  return certificate;
}

class Certificates : public testing::Test {
 protected:
  Certificates() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tsr_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~Certificates() override { std::filesystem::remove_all(folder_); }
  CertificateStore store() const {
    return CertificateStore(folder_ + "/state/certificates");
  }
  std::optional<Certificate> find() const {
    return store().find(sample().subject);
  }
  std::string only_file() const {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) return entry.path().string();
    }
    return "";
  }

  std::string folder_;
};

TEST_F(Certificates, ComeBackAsTheyWereSaved) {
  EXPECT_FALSE(find());
  ASSERT_TRUE(store().save(sample()).ok());
  const auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(certificate_json(*found), certificate_json(sample()));
  EXPECT_THAT(only_file(), HasSubstr("/state/certificates/aaaa"));
}

TEST_F(Certificates, HoldForOneLibraryDeviceHardwareAndDriverAlone) {
  ASSERT_TRUE(store().save(sample()).ok());
  const auto finds = [&](const CertifiedDevice& subject) {
    return store().find(subject).has_value();
  };
  const auto [sha256, device, hardware, driver] = sample().subject;
  EXPECT_TRUE(finds({sha256, device, hardware, driver}));
  EXPECT_FALSE(finds({std::string(64, 'b'), device, hardware, driver}));
  EXPECT_FALSE(finds({sha256, "npu:0", hardware, driver}));
  EXPECT_FALSE(finds({sha256, device, "NPU 910B", driver}));
  EXPECT_FALSE(finds({sha256, device, hardware, "24.2"}));
}

TEST_F(Certificates, OfAnotherKitCountNoMore) {
  Certificate old = sample();
  old.kit_version = kKitVersion - 1;
  ASSERT_TRUE(store().save(old).ok());
  EXPECT_FALSE(find());
}

TEST_F(Certificates, AreGoneOnceRevoked) {
  ASSERT_TRUE(store().save(sample()).ok());
  EXPECT_FALSE(store().is_revoked(sample().subject));
  ASSERT_TRUE(store().revoke(sample().subject).ok());
  EXPECT_FALSE(find());
  EXPECT_TRUE(store().is_revoked(sample().subject));
  ASSERT_TRUE(store().save(sample()).ok()) << "it passes again";
  EXPECT_TRUE(find());
  EXPECT_FALSE(store().is_revoked(sample().subject));
}

TEST_F(Certificates, AreListedByTheirLibrary) {
  ASSERT_TRUE(store().save(sample()).ok());
  Certificate second = sample();
  second.subject.driver = "24.2";
  ASSERT_TRUE(store().save(second).ok());
  Certificate foreign = sample();
  foreign.subject.sha256 = std::string(64, 'b');
  ASSERT_TRUE(store().save(foreign).ok());
  ASSERT_TRUE(store().revoke({sample().subject.sha256, "npu:0", "", ""}).ok());
  const auto found = store().of_library(sample().subject.sha256);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].subject, sample().subject);
  EXPECT_EQ(found[1].subject, second.subject);
}

TEST_F(Certificates, ThatOthersMayWriteAreNotTrusted) {
  ASSERT_TRUE(store().save(sample()).ok());
  ASSERT_EQ(chmod(only_file().c_str(), 0666), 0);
  EXPECT_FALSE(find());
}

TEST_F(Certificates, ThatAreDamagedAreNone) {
  const std::string text = certificate_json(sample());
  for (size_t bytes = 0; bytes + 2 < text.size(); bytes += 7) {
    EXPECT_FALSE(parse_certificate(text.substr(0, bytes)).ok());
  }
  EXPECT_THAT(
      parse_certificate("{\"format\":2,\"sha256\":7}").status().message(),
      HasSubstr("sha256"));
  EXPECT_THAT(parse_certificate("[]").status().message(), HasSubstr("format"));
}

TEST_F(Certificates, NeedAFolder) {
  const CertificateStore none("");
  EXPECT_FALSE(none.save(sample()).ok());
  EXPECT_FALSE(none.revoke(sample().subject).ok());
  EXPECT_FALSE(none.find(sample().subject));
  EXPECT_TRUE(none.of_library(sample().subject.sha256).empty());
}

}  // namespace
}  // namespace tessera
