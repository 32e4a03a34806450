// SPDX-License-Identifier: Apache-2.0
//
// A driver that crashes or hangs costs its own devices alone; healthy ones add
// theirs.

#include <gmock/gmock.h>
#include <stdio.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "backends/opencl/runtime/driver_files.hpp"

namespace tessera::opencl {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

// What list_opencl_devices prints with the drivers of `folder`.
std::string list_with(const std::string& folder) {
  const std::string command = "OCL_ICD_VENDORS=" + folder + " " +
                              TSR_BINARY_DIR "/bin/list_opencl_devices";
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) {
    text += static_cast<char>(c);
  }
  EXPECT_EQ(pclose(pipe), 0) << text;
  return text;
}

class OpenClDrivers : public testing::Test {
 protected:
  OpenClDrivers() {
    std::string name = testing::TempDir() + "/drivers-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~OpenClDrivers() override { fs::remove_all(folder_); }

  void add_driver(const std::string& name) const {
    std::ofstream(folder_ + "/" + name + ".icd")
        << TSR_DRIVERS "/lib" << name << ".so\n";
  }
  std::string folder_;
};

class FaultyOpenClDriver : public OpenClDrivers,
                           public testing::WithParamInterface<const char*> {
 protected:
  static std::string name() {
    return std::string("faulty_driver_") + GetParam();
  }
};

TEST_P(FaultyOpenClDriver, CostsItsOwnDevicesAlone) {
  for (const DriverFile& file : driver_files()) {
    fs::copy_file(file.path, folder_ + "/" + file.name);
  }
  const std::string before = list_with(folder_);
  if (before.find("device ") == std::string::npos) {
    GTEST_SKIP() << "no OpenCL device: " << before;
  }
  add_driver(name());
  EXPECT_THAT(list_with(folder_),
              testing::StartsWith(before + "driver " + name() + ".icd: "));
}

TEST_P(FaultyOpenClDriver, ByItselfLeavesNoDeviceAndAReason) {
  add_driver(name());
  const std::string list = list_with(folder_);
  EXPECT_THAT(list, Not(testing::StartsWith("device ")));
  EXPECT_THAT(list, HasSubstr("reason driver " + name()));
}

INSTANTIATE_TEST_SUITE_P(All, FaultyOpenClDriver,
                         testing::Values("abort", "crash", "hang"),
                         [](const auto& fault) {
                           return std::string(fault.param);
                         });

TEST_F(OpenClDrivers, DevicesOfSeveralPlatformsAreNumberedOneAfterAnother) {
  for (const DriverFile& file : driver_files()) {
    fs::copy_file(file.path, folder_ + "/" + file.name);
  }
  const std::string before = list_with(folder_);
  add_driver("second_driver");
  const std::string list = list_with(folder_);
  EXPECT_THAT(list, HasSubstr("device the second driver's\n"));
  if (before.find("device ") == std::string::npos) return;
  EXPECT_THAT(list, HasSubstr(before));
}

TEST(OpenClDriverFiles, AFolderWithoutDriversHasNoDevice) {
  const std::string empty = testing::TempDir() + "/no-drivers";
  fs::create_directories(empty);
  EXPECT_EQ(list_with(empty), "reason no OpenCL device is installed\n");
}

}  // namespace
}  // namespace tessera::opencl
