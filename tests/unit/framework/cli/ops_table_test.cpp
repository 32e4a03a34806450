// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/ops_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace tessera::cli {
namespace {

size_t columns_of(const std::string& line) {
  size_t columns = 0;
  for (const char byte : line) {
    if ((static_cast<unsigned char>(byte) & 0xC0) != 0x80) ++columns;
  }
  return columns;
}

void expect_80_columns(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(columns_of(line), 80U) << line;
  }
}

Json row_of(const char* device) {
  return {{"op", "linear"},
          {"device", device},
          {"scheme", "w8a8_dynamic"},
          {"M", 2048},
          {"N", 28672},
          {"K", 8192},
          {"weights", "hot"},
          {"reason", ""},
          {"clock", "wall"},
          {"median_ns", 987.6e6},
          {"ci95_ns", {900e6, 1000.6e6}},
          {"min_ns", 955.5e6},
          {"device_median_ns", 954.4e6},
          {"bytes", 4e8},
          {"ops", 9.6e11},
          {"limit", 5e8},
          {"limit_kind", "compute"},
          {"achieved_over_limit", 0.51},
          {"group", "tessera bench ops --device opencl:0 --shape 1x2x3"}};
}

TEST(OpsTable, FitsEightyColumns) {
  Json failed = row_of("vulkan:1");
  failed["reason"] =
      "program_create: linear: no kernel for these weights, whose group of 24 "
      "is no multiple of 32; the nearest that would work is 32";
  const std::string text =
      ops_text({row_of("npu_sim:910b"), row_of("cpu"), failed});
  expect_80_columns(text);
  EXPECT_THAT(text, testing::HasSubstr(
                        "linear w8a8_dynamic, M 2048, N 28672, K 8192, hot\n"));
  EXPECT_THAT(text, testing::HasSubstr("51 %"));
  EXPECT_THAT(text, testing::HasSubstr("  vulkan:1: program_create"));
  // The worse half of the interval, and the rate that limits.
  EXPECT_THAT(text, testing::HasSubstr("8.9 %"));
  EXPECT_THAT(text, testing::HasSubstr("972.1 GOP/s"));
}

TEST(OpsTable, GivesEachShapeItsOwnTable) {
  Json cold = row_of("cpu");
  cold["M"] = 1;
  const std::string text = ops_text({row_of("cpu"), cold});
  EXPECT_THAT(text, testing::HasSubstr("M 2048"));
  EXPECT_THAT(text, testing::HasSubstr("M 1,"));
}

TEST(WrappedCommand, IsOneCommandForAShell) {
  std::string command = "tessera bench ops";
  for (int i = 0; i < 12; ++i) command += " --option value" + std::to_string(i);
  const std::string text = wrapped_command(command);
  expect_80_columns(text);
  std::string joined = text.substr(4, text.size() - 5);
  for (size_t at = joined.find(" \\\n    "); at != std::string::npos;
       at = joined.find(" \\\n    ")) {
    joined.replace(at, 7, " ");
  }
  EXPECT_EQ(joined, command);
}

}  // namespace
}  // namespace tessera::cli
