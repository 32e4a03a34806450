// SPDX-License-Identifier: Apache-2.0
//
// A driver that crashes or hangs costs its own devices alone.

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

class OpenClDrivers : public testing::TestWithParam<const char*> {
 protected:
  OpenClDrivers() {
    std::string name = testing::TempDir() + "/drivers-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~OpenClDrivers() override { fs::remove_all(folder_); }

  void add_faulty(const std::string& fault) const {
    std::ofstream(folder_ + "/" + fault + ".icd")
        << TSR_DRIVERS "/libfaulty_driver_" << fault << ".so\n";
  }
  std::string folder_;
};

TEST_P(OpenClDrivers, ABrokenOneCostsItsOwnDevicesAlone) {
  for (const DriverFile& file : driver_files()) {
    fs::copy_file(file.path, folder_ + "/" + file.name);
  }
  const std::string before = list_with(folder_);
  if (before.find("device ") == std::string::npos) {
    GTEST_SKIP() << "no OpenCL device: " << before;
  }
  add_faulty(GetParam());
  EXPECT_THAT(list_with(folder_),
              testing::StartsWith(before + "driver " + GetParam() + ".icd: "));
}

TEST_P(OpenClDrivers, ABrokenOneByItselfLeavesNoDeviceAndAReason) {
  add_faulty(GetParam());
  const std::string list = list_with(folder_);
  EXPECT_THAT(list, Not(testing::StartsWith("device ")));
  EXPECT_THAT(list, HasSubstr(std::string("reason driver ") + GetParam()));
}

INSTANTIATE_TEST_SUITE_P(All, OpenClDrivers,
                         testing::Values("abort", "crash", "hang"),
                         [](const auto& fault) {
                           return std::string(fault.param);
                         });

TEST(OpenClDriverFiles, AFolderWithoutDriversHasNoDevice) {
  const std::string empty = testing::TempDir() + "/no-drivers";
  fs::create_directories(empty);
  EXPECT_EQ(list_with(empty), "reason no OpenCL device is installed\n");
}

}  // namespace
}  // namespace tessera::opencl
