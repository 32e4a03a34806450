// SPDX-License-Identifier: Apache-2.0
//
// RAPL counters as Linux shows them, in a folder of the test's.

#include "framework/bench/measure/energy_meter.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace tessera::bench {
namespace {

namespace fs = std::filesystem;

class EnergyMeterTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& zone, const std::string& file,
             const std::string& text) {
    fs::create_directories(folder_ / zone);
    std::ofstream(folder_ / zone / file) << text << "\n";
  }
  void add_zone(const std::string& zone, const std::string& name,
                const std::string& energy) {
    write(zone, "name", name);
    write(zone, "max_energy_range_uj", "1000");
    write(zone, "energy_uj", energy);
  }

  fs::path folder_;
};

TEST_F(EnergyMeterTest, AddsPackagesAndNothingTwice) {
  add_zone("intel-rapl:0", "package-0", "100");
  add_zone("intel-rapl:1", "package-1", "200");
  add_zone("intel-rapl:0:0", "core", "50");         // a part of package 0
  add_zone("intel-rapl:2", "psys", "900");          // the board, packages too
  add_zone("intel-rapl-mmio:0", "package-0", "7");  // package 0 once more
  EnergyMeter meter(folder_);
  EXPECT_EQ(meter.reason(), "");
  EXPECT_EQ(meter.take_nj(), 0U);
  for (const char* zone : {"intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0",
                           "intel-rapl:2", "intel-rapl-mmio:0"}) {
    write(zone, "energy_uj", "950");
  }
  EXPECT_EQ(meter.take_nj(), (850U + 750U) * 1000U);
  EXPECT_EQ(meter.take_nj(), 0U);
}

TEST_F(EnergyMeterTest, FollowsACounterThatBeginsAnew) {
  add_zone("intel-rapl:0", "package-0", "990");
  EnergyMeter meter(folder_);
  write("intel-rapl:0", "energy_uj", "15");
  EXPECT_EQ(meter.take_nj(), 25U * 1000U);
}

TEST_F(EnergyMeterTest, SaysWhyThereIsNoEnergy) {
  const EnergyMeter empty(folder_);
  EXPECT_EQ(empty.reason(), "no RAPL counter in " + folder_.string());
  EnergyMeter none(folder_ / "none");
  EXPECT_EQ(none.reason(), "no " + (folder_ / "none").string() + " here");
  EXPECT_EQ(none.take_nj(), 0U);
}

// Linux lets only root read the counters.
TEST_F(EnergyMeterTest, SaysWhatMayNotBeRead) {
  write("intel-rapl:0", "name", "package-0");
  fs::create_directories(folder_ / "intel-rapl:0" / "energy_uj");
  const EnergyMeter meter(folder_);
  EXPECT_EQ(meter.reason(), (folder_ / "intel-rapl:0" / "energy_uj").string() +
                                " may not be read");
}

}  // namespace
}  // namespace tessera::bench
