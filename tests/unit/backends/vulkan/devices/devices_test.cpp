// SPDX-License-Identifier: Apache-2.0
//
// As many devices as drivers have, and work on all of them and on many queues
// at once.  What is there is asked once in a process, so every case has one of
// its own.

#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <thread>

#include "tests/unit/backends/device/attention_case.hpp"
#include "tests/unit/backends/device/device_under_test.hpp"
#include "tests/unit/backends/device/linear_case.hpp"
#include "tests/unit/backends/vulkan/faults/pretended_queues.hpp"

namespace tessera::device_test {
namespace {

constexpr int kNoDevice = 77;  // what a process ends with

std::string asked_for = "vulkan:0";

// Where lavapipe's manifest is, as distributions install it; "" if nowhere.
std::filesystem::path lavapipe_manifest() {
  const std::filesystem::path folder = "/usr/share/vulkan/icd.d";
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("lvp_icd", 0) == 0) return entry.path();
  }
  return {};
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The loader asks nothing but these.
void use_drivers(const std::string& manifests) {
  setenv("VK_DRIVER_FILES", manifests.c_str(), 1);
  setenv("VK_ICD_FILENAMES", manifests.c_str(), 1);
}

// A second driver: a copy of lavapipe's library, for the loader opens each file
// once, and a manifest that names it.
std::string copy_driver(const std::filesystem::path& manifest,
                        const std::filesystem::path& folder) {
  const std::string text = text_of(manifest);
  std::smatch found;
  if (!std::regex_search(text, found,
                         std::regex("\"library_path\": *\"(/[^\"]+)\""))) {
    return "";
  }
  const std::string library = found[1];
  std::filesystem::create_directories(folder);
  const auto copy = folder / "libvulkan_second.so";
  std::filesystem::copy_file(library, copy);
  std::string second = text;
  second.replace(second.find(library), library.size(), copy.string());
  std::ofstream(folder / "second.json") << second;
  return (folder / "second.json").string();
}

Result<std::shared_ptr<Device>> open_named(const std::string& id) {
  asked_for = id;
  return try_open({});
}

// Linears and attention, each on a queue of its own, against the oracle.
void work(const std::shared_ptr<Device>& device, uint32_t seed) {
  std::mt19937 rng(seed);
  for (const char* name : {"i8_channel", "u4_g32"}) {
    const auto planes = random_weight(weight_kind(name), 70, 96, rng);
    LinearCase c;
    c.M = 1 + seed % 7;
    c.act_quant = TSR_ACT_I8_DYNAMIC;
    expect_linear(device, planes, c);
  }
  AttentionStep(*device, {}, TSR_KV_I8_TOKEN).run(device);
}

void work_at_once(const std::vector<std::shared_ptr<Device>>& devices) {
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 6; ++i) {
    threads.emplace_back(work, devices[i % devices.size()], i);
  }
  for (std::thread& thread : threads) thread.join();
}

void check_no_driver() {
  use_drivers("/nonexistent.json");
  const auto device = open_named("vulkan:0");
  EXPECT_EQ(device.status().code(), TSR_UNAVAILABLE);
  EXPECT_THAT(device.status().message(),
              testing::HasSubstr("no Vulkan driver can be loaded"));
}

void check_two_drivers(const std::string& first, const std::string& second) {
  use_drivers(first + ":" + second);
  std::vector<std::shared_ptr<Device>> devices;
  for (const char* id : {"vulkan:0", "vulkan:1"}) {
    auto device = open_named(id);
    ASSERT_TRUE(device.ok()) << device.status().message();
    devices.push_back(std::move(*device));
  }
  EXPECT_FALSE(open_named("vulkan:2").ok());
  // Both run on this processor and in its memory.
  EXPECT_EQ(devices[0]->info().memory_id, devices[1]->info().memory_id);
  work_at_once(devices);
  // What one device loses the other keeps.
  devices.erase(devices.begin());
  work_at_once(devices);
}

void check_many_queues(const Options& options) {
  asked_for = "vulkan:0";
  const auto device = try_open(options);
  if (device.status().code() == TSR_UNAVAILABLE) _exit(kNoDevice);
  ASSERT_TRUE(device.ok()) << device.status().message();
  work_at_once({*device});
}

// Ends the process that it runs in.
template <typename Check>
[[noreturn]] void end_after(const Check& check) {
  check();
  _exit(testing::Test::HasFailure() ? 1 : 0);
}

class QueuesOfADriver : public testing::TestWithParam<const char*> {};

TEST(VulkanDevices, WithoutADriverTheReasonIsSaid) {
  EXPECT_EXIT(end_after(check_no_driver), testing::ExitedWithCode(0), "");
}

// Steps on several queues of the driver, copies on one for copies.
TEST_P(QueuesOfADriver, GiveTheOraclesResults) {
  bool is_there = true;
  const auto ended_well = [&](int status) {
    is_there = !WIFEXITED(status) || WEXITSTATUS(status) != kNoDevice;
    return !is_there || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
  };
  EXPECT_EXIT(end_after([] {
                Options options;
                if (*GetParam() != '\0') {
                  vulkan_faults::load_families_of(GetParam());
                  options = {{"queues", "native"}, {"staging", "always"}};
                }
                check_many_queues(options);
              }),
              ended_well, "");
  if (!is_there) GTEST_SKIP() << "there is no Vulkan device";
}

INSTANTIATE_TEST_SUITE_P(All, QueuesOfADriver,
                         testing::Values("", "nvidia", "radv", "intel"),
                         [](const auto& driver) {
                           return *driver.param == '\0' ? "own" : driver.param;
                         });

TEST(VulkanDevices, TwoDriversAreTwoDevicesThatWorkAtOnce) {
  const auto first = lavapipe_manifest();
  if (first.empty()) GTEST_SKIP() << "lavapipe is not installed";
  const std::filesystem::path folder =
      std::filesystem::path(TSR_BINARY_DIR) /
      ("vulkan-second-driver-" + std::to_string(getpid()));
  const std::string second = copy_driver(first, folder);
  if (second.empty()) GTEST_SKIP() << "its manifest names no whole path";
  EXPECT_EXIT(end_after([&] { check_two_drivers(first.string(), second); }),
              testing::ExitedWithCode(0), "");
  std::filesystem::remove_all(folder);
}

}  // namespace

DeviceUnderTest device_under_test() { return {asked_for, "vulkan-cache", {}}; }

}  // namespace tessera::device_test
