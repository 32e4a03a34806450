// SPDX-License-Identifier: Apache-2.0
//
// Tables of whole models fit a terminal, however slow the machine is.

#include "framework/cli/bench/model_table.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace tessera::cli {
namespace {

Json row_of(uint32_t batch, uint32_t context) {
  return {{"device", "cpu"},
          {"scheme", "w8a8_dynamic_kv8"},
          {"plan", nullptr},
          {"clock", "wall"},
          {"batch", batch},
          {"context", context},
          {"reason", ""},
          {"prefill_tokens_per_s", 123456.7},
          {"first_token_ns", 98.76e6},
          {"decode_tokens_per_s", 12345.6},
          {"step_ns", {{"p50", 76.54e6}, {"p90", 98.76e6}, {"p99", 123.4e6}}},
          {"memory",
           {{"weight_bytes", 1234567890},
            {"kv_bytes", 9876543210},
            {"workspace_bytes", 1}}},
          {"decode_limit",
           {{"bytes", 123456789012.0},
            {"per_ns", 123.45},
            {"how", "8 streams, 2 MiB pages"},
            {"achieved_per_ns", 123.45},
            {"achieved_over_limit", 1.0},
            {"achieved_over_reads", 1.234},
            {"reads_per_ns", Json::array({100.0})}}},
          {"breakdown", nullptr},
          {"group", "tessera bench model --device cpu"}};
}

TEST(ModelTable, WidestFiguresFit80Columns) {
  const std::string text =
      model_text(Json::array({row_of(4096, 1048576), row_of(1, 128)}));
  EXPECT_NE(text.find("98.8 ms"), std::string::npos) << text;
  EXPECT_NE(text.find("123 % of the"), std::string::npos) << text;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 80U) << line;
  }
}

}  // namespace
}  // namespace tessera::cli
