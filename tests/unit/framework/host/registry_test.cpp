// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framework/host/signing/shipped_certificate.hpp"
#include "framework/host/signing/signature.hpp"
#include "framework/host/trust/sha256.hpp"
#include "framework/host/trust/trust.hpp"
#include "tests/unit/framework/host/temporary_folder.hpp"
#include "tests/unit/framework/host/toy_linear.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

const char* const kLibrary = TSR_BINARY_DIR "/test_plugins/tsr_plugin_toy.so";

// A folder with plugins of every kind of fault.
class RegistryOf : public testing::Test {
 protected:
  // Puts a library and a manifest with its true hash into the folder.
  void add(const std::string& name, const std::string& library) {
    folder_.write("tsr_plugin_" + name + ".so", library);
    add_manifest(name, sha256_of("tsr_plugin_" + name + ".so"));
  }
  void add_manifest(const std::string& name, const std::string& sha256,
                    const std::string& abi = "1.0") {
    folder_.write("tsr_plugin_" + name + ".json",
                  R"({"format": 1, "name": ")" + name +
                      R"(", "library": "tsr_plugin_)" + name +
                      R"(.so", "abi_min": ")" + abi + R"(", "abi_max": ")" +
                      abi + R"(", "sha256": ")" + sha256 + "\"}");
  }
  std::string sha256_of(const std::string& file) {
    const Result<TrustedFile> opened = open_trusted(folder_ / file);
    return opened.ok() ? *sha256_of_file(opened->fd.get()) : "";
  }
  Registry discover() {
    RegistryOptions options;
    options.folders = {folder_.path()};
    options.host = test_options();
    return Registry::discover(options);
  }
  // The only failure of the folder.
  void expect_failure(tsr_status code, const std::string& part) {
    const Registry registry = discover();
    EXPECT_TRUE(registry.plugins().empty());
    ASSERT_EQ(registry.failures().size(), 1u);
    const Status& status = registry.failures()[0].status;
    EXPECT_EQ(status.code(), code) << status.message();
    EXPECT_THAT(status.message(), HasSubstr(part));
  }

  TemporaryFolder folder_;
  const std::string toy_ = read_file(kLibrary);
};

TEST_F(RegistryOf, AGoodPluginNamesItsDevices) {
  add("toy", toy_);
  const Registry registry = discover();
  for (const PluginFailure& failure : registry.failures()) {
    ADD_FAILURE() << failure.path << ": " << failure.status.message();
  }
  ASSERT_EQ(registry.devices().size(), 3u);
  EXPECT_EQ(registry.devices()[0].name, "toy:0");
  EXPECT_EQ(registry.devices()[1].name, "toy:raw");
  EXPECT_EQ(registry.devices()[2].name, "toy:2");
  EXPECT_EQ(registry.devices()[2].status.code(), TSR_UNAVAILABLE);
}

TEST_F(RegistryOf, FindsDevicesByNameAndIndex) {
  add("toy", toy_);
  const Registry registry = discover();
  EXPECT_EQ((*registry.find("toy:raw"))->index, 1u);
  EXPECT_EQ((*registry.find("toy:1"))->index, 1u);
  EXPECT_EQ(registry.find("toy").status().message(),
            "plugin toy has 3 devices; choose toy:0, toy:raw, toy:2");
  EXPECT_EQ(registry.find("gpu").status().message(),
            "no device gpu; choose toy:0, toy:raw, toy:2");
  EXPECT_EQ(registry.find("gpu").status().code(), TSR_NOT_FOUND);
  EXPECT_EQ(registry.find("toy:ra").status().message(),
            "no device toy:ra; the nearest: toy:raw");
  const auto device = registry.open("toy:raw");
  ASSERT_TRUE(device.ok()) << device.status().message();
  EXPECT_EQ((*device)->name(), "toy:raw");
}

TEST_F(RegistryOf, ASecondPluginOfANameIsReported) {
  add("toy", toy_);
  const TemporaryFolder other;
  std::filesystem::copy(folder_.path(), other.path(),
                        std::filesystem::copy_options::recursive);
  RegistryOptions options;
  options.folders = {folder_.path(), other.path()};
  options.host = test_options();
  const Registry registry = Registry::discover(options);
  EXPECT_EQ(registry.plugins().size(), 1u);
  ASSERT_EQ(registry.failures().size(), 1u);
  EXPECT_THAT(registry.failures()[0].path, HasSubstr(other.path()));
  EXPECT_THAT(registry.failures()[0].status.message(),
              HasSubstr("plugin toy was found before"));
}

TEST_F(RegistryOf, NothingIsNoFailure) {
  RegistryOptions options;
  options.folders = {folder_ / "not there"};
  options.host = test_options();
  const Registry registry = Registry::discover(options);
  EXPECT_TRUE(registry.devices().empty());
  EXPECT_TRUE(registry.failures().empty());
  EXPECT_EQ(registry.find("cpu").status().message(),
            "no device cpu; there is none");
}

TEST_F(RegistryOf, AMissingLibraryIsReported) {
  add("toy", toy_);
  std::filesystem::remove(folder_ / "tsr_plugin_toy.so");
  expect_failure(TSR_NOT_FOUND, "tsr_plugin_toy.so: No such file");
}

TEST_F(RegistryOf, AMissingManifestIsReported) {
  add("toy", toy_);
  std::filesystem::remove(folder_ / "tsr_plugin_toy.json");
  expect_failure(TSR_NOT_FOUND, "no manifest");
}

TEST_F(RegistryOf, AWrongHashIsReported) {
  add("toy", toy_);
  add_manifest("toy", std::string(64, '0'));
  expect_failure(TSR_DATA_LOSS, "the manifest says 0000");
}

TEST_F(RegistryOf, ATruncatedLibraryIsReported) {
  add("toy", toy_);
  ASSERT_EQ(truncate((folder_ / "tsr_plugin_toy.so").c_str(), 4096), 0);
  expect_failure(TSR_DATA_LOSS, "sha256 is");
}

TEST_F(RegistryOf, ATruncatedLibraryWithItsOwnHashIsReported) {
  add("toy", toy_.substr(0, toy_.size() / 3));
  expect_failure(TSR_FAILED_PRECONDITION, "truncated");
}

TEST_F(RegistryOf, GarbageIsReported) {
  add("toy", "not a library");
  expect_failure(TSR_FAILED_PRECONDITION, "not a shared library");
}

TEST_F(RegistryOf, AnotherAbiIsReported) {
  add("toy", toy_);
  add_manifest("toy", sha256_of("tsr_plugin_toy.so"), "2.0");
  expect_failure(TSR_FAILED_PRECONDITION, "built for ABI 2.0 to 2.0");
}

TEST_F(RegistryOf, ALibraryThatOthersMayWriteIsReported) {
  add("toy", toy_);
  ASSERT_EQ(chmod((folder_ / "tsr_plugin_toy.so").c_str(), 0777), 0);
  expect_failure(TSR_FAILED_PRECONDITION, "may be written by others");
}

TEST_F(RegistryOf, AManifestThatOthersMayWriteIsReported) {
  add("toy", toy_);
  ASSERT_EQ(chmod((folder_ / "tsr_plugin_toy.json").c_str(), 0666), 0);
  expect_failure(TSR_FAILED_PRECONDITION, "may be written by others");
}

TEST_F(RegistryOf, ANameThatIsNotTheFilesIsReported) {
  add("other", toy_);
  folder_.write("tsr_plugin_other.json",
                read_file(TSR_BINARY_DIR "/test_plugins/tsr_plugin_toy.json"));
  expect_failure(TSR_INVALID_ARGUMENT, "the file is not tsr_plugin_toy.json");
}

TEST_F(RegistryOf, ANameThatIsNotTheHeadersIsReported) {
  add("other", toy_);
  expect_failure(TSR_INVALID_ARGUMENT,
                 "the header's name is \"toy\", the manifest's \"other\"");
}

TEST_F(RegistryOf, AManifestWithoutEndIsReported) {
  folder_.write("tsr_plugin_toy.json", std::string(100000, ' '));
  expect_failure(TSR_INVALID_ARGUMENT, "larger than 65536 bytes");
}

TEST_F(RegistryOf, APluginThatCrashedRunsInAChild) {
  add("toy", toy_);
  RegistryOptions options;
  options.folders = {folder_.path()};
  options.host = test_options();
  options.records = PluginRecords(folder_ / "state");
  const std::string sha256 = sha256_of("tsr_plugin_toy.so");
  ASSERT_TRUE(options.records
                  .add_offence("toy", sha256, {"toy:0", "died", "2026-11-21"})
                  .ok());
  const Registry quarantined = Registry::discover(options);
  ASSERT_EQ(quarantined.plugins().size(), 1u);
  EXPECT_TRUE(quarantined.plugins()[0]->is_isolated());
  EXPECT_EQ(quarantined.devices()[0].quarantine,
            "1 failure, the last on 2026-11-21: died");

  PluginRecord other = options.records.find("toy");
  other.sha256 = std::string(64, 'a');
  ASSERT_TRUE(options.records.save(other).ok());
  const Registry clean = Registry::discover(options);
  ASSERT_EQ(clean.plugins().size(), 1u);
  EXPECT_FALSE(clean.plugins()[0]->is_isolated()) << "another library's record";
}

TEST_F(RegistryOf, APluginThatIsSwitchedOffIsNotOpened) {
  add("toy", toy_);
  RegistryOptions options;
  options.folders = {folder_.path()};
  options.records = PluginRecords(folder_ / "state");
  PluginRecord record;
  record.plugin = "toy";
  record.disabled = true;
  ASSERT_TRUE(options.records.save(record).ok());
  const Registry registry = Registry::discover(options);
  EXPECT_TRUE(registry.plugins().empty());
  ASSERT_EQ(registry.failures().size(), 1u);
  EXPECT_THAT(registry.failures()[0].status.message(),
              HasSubstr("tessera plugin enable toy"));
}

TEST_F(RegistryOf, OnlyWantedPluginsAreOpened) {
  add("toy", toy_);
  RegistryOptions options;
  options.folders = {folder_.path()};
  options.only = {"cpu"};
  const Registry registry = Registry::discover(options);
  EXPECT_TRUE(registry.plugins().empty());
  EXPECT_TRUE(registry.failures().empty());
}

TEST_F(RegistryOf, BrokenPluginsDoNotStopTheOthers) {
  add("toy", toy_);
  add("a", "not a library");
  folder_.write("tsr_plugin_z.json", "{}");
  const Registry registry = discover();
  EXPECT_EQ(registry.plugins().size(), 1u);
  EXPECT_EQ(registry.failures().size(), 2u);
}

// A plugin with a certificate beside it, signed by a vendor.
class ShippedWith : public RegistryOf {
 protected:
  void SetUp() override {
    setenv("XDG_STATE_HOME", (folder_ / "state").c_str(), 1);
    setenv("XDG_CONFIG_HOME", (folder_ / "config").c_str(), 1);
    add("toy", toy_);
    certificate_.subject = {sha256_of("tsr_plugin_toy.so"), "toy:0",
                            "toy device 0", ""};
    certificate_.issued = "2026-11-21";
    certificate_.level = 2;
    ship(certificate_, vendor_.private_key);
  }
  void TearDown() override {
    restore("XDG_STATE_HOME", state_);
    restore("XDG_CONFIG_HOME", config_);
  }
  static std::optional<std::string> environment(const char* name) {
    const char* value = getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  }
  static void restore(const char* name,
                      const std::optional<std::string>& value) {
    if (value) {
      setenv(name, value->c_str(), 1);
    } else {
      unsetenv(name);
    }
  }
  void ship(const Certificate& certificate, const std::string& key) {
    const auto path =
        ship_certificate(certificate, folder_ / "tsr_plugin_toy.so", key);
    ASSERT_TRUE(path.ok()) << path.status().message();
    file_ = *path;
  }
  void trust_vendor() const {
    std::filesystem::create_directories(folder_ / "config/tessera");
    folder_.write("config/tessera/keys",
                  "key " + vendor_.public_key + " the vendor\n");
  }
  // What `tessera devices` says of the toy's first device.
  std::string shown() {
    const Registry registry = discover();
    const auto entry = registry.find("toy:0");
    return entry.ok() ? certificate_text(**entry) : entry.status().message();
  }

  const std::optional<std::string> state_ = environment("XDG_STATE_HOME");
  const std::optional<std::string> config_ = environment("XDG_CONFIG_HOME");
  const KeyPair vendor_ = *make_key_pair();
  Certificate certificate_;
  std::string file_;
};

TEST_F(ShippedWith, ATrustedSignatureItIsCertified) {
  trust_vendor();
  EXPECT_EQ(shown(), "level 2 of 2026-11-21, signed by the vendor");
}

TEST_F(ShippedWith, AnUnknownOrNoSignatureItIsNot) {
  EXPECT_EQ(shown(), "uncertified") << "nobody is trusted";
  trust_vendor();
  ship(certificate_, make_key_pair()->private_key);
  EXPECT_EQ(shown(), "uncertified") << "somebody else's";
  std::filesystem::remove(file_ + ".sig");
  EXPECT_EQ(shown(), "uncertified") << "none";
}

TEST_F(ShippedWith, AKnownFailureIsBarred) {
  trust_vendor();
  certificate_.known_failures = {{"L2/threads", "not yet"}};
  ship(certificate_, vendor_.private_key);
  EXPECT_THAT(shown(), HasSubstr("1 known failures, signed by the vendor"));
  EXPECT_THAT(discover().open("toy:0").status().message(),
              HasSubstr("barred from plans"));
}

TEST_F(ShippedWith, WhatTheKitFindsHereCountsForMore) {
  trust_vendor();
  ASSERT_TRUE(user_certificates().revoke(certificate_.subject).ok());
  EXPECT_EQ(shown(), "uncertified") << "it failed here";
  Certificate own = certificate_;
  own.level = 1;
  ASSERT_TRUE(user_certificates().save(own).ok());
  EXPECT_EQ(shown(), "level 1 of 2026-11-21");
}

}  // namespace
}  // namespace tessera
