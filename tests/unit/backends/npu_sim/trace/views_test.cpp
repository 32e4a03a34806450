// SPDX-License-Identifier: Apache-2.0
//
// Views show what the simulation counted.

#include "backends/npu_sim/trace/views.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

namespace tessera::npu {
namespace {

using testing::HasSubstr;
using testing::Not;

Kernel kernel_on(const Profile& profile) {
  Gemm gemm;
  gemm.M = 64;
  gemm.N = 512;
  gemm.K = 512;
  SimulateOptions options;
  options.trace = true;
  options.tiling.split_k = 1;
  return {"say \"hi\" <&>", gemm, simulate(profile, gemm, options)};
}

TEST(Views, TraceIsJsonWithAProcessPerCoreAndAThreadPerPipe) {
  const Profile profile = load_profile("910b1");
  const Kernel kernel = kernel_on(profile);
  const auto trace = nlohmann::json::parse(chrome_trace(profile, {kernel}));
  double cube_us = 0;
  size_t events = 0;
  std::set<int> processes;
  std::set<std::string> threads;
  for (const auto& event : trace["traceEvents"]) {
    if (event["name"] == "thread_name") {
      threads.insert(event["args"]["name"].get<std::string>());
    }
    if (event["ph"] != "X") continue;
    ++events;
    processes.insert(event["pid"].get<int>());
    if (event["name"] == "mmad") cube_us += event["dur"].get<double>();
  }
  EXPECT_EQ(events, kernel.result.trace.size());
  EXPECT_EQ(processes.size(), static_cast<size_t>(kernel.result.cores));
  EXPECT_EQ(threads, (std::set<std::string>{"scalar", "cube", "mte1", "mte2",
                                            "fixpipe"}));
  const double counted =
      profile.cycles_to_ns(kernel.result.counters.busy_cycles.at(
          static_cast<size_t>(Pipe::kCube))) *
      1e-3;
  // Each event is printed to 1e-4 us.
  EXPECT_NEAR(cube_us, counted, 1e-4 * static_cast<double>(events));
}

std::string table_named(const Profile& profile, const std::string& name) {
  for (const Table& table : profiler_tables(profile, {kernel_on(profile)})) {
    if (table.file_name == name) return table.text;
  }
  return "no table";
}

TEST(Views, TablesHaveTheProfilersColumns) {
  const std::string pipes =
      table_named(load_profile("910b1"), "PipeUtilization.csv");
  for (const char* column :
       {"aic_time(us)", "aic_total_cycles", "aic_cube_time(us)",
        "aic_mte1_ratio", "aic_mte2_time(us)", "aic_fixpipe_ratio",
        "aiv_time(us)", "aiv_vec_ratio", "aiv_mte2_ratio", "aiv_mte3_ratio"}) {
    EXPECT_THAT(pipes, HasSubstr(column));
  }
  EXPECT_THAT(table_named(load_profile("910b1"), "MemoryUB.csv"),
              HasSubstr("aiv_ub_read_bw_vector(GB/s)"));
  EXPECT_THAT(table_named(load_profile("910b1"), "L2Cache.csv"),
              HasSubstr("aic_l2_cache_hit_rate(%)"));
}

double cell(const std::string& table, const std::string& column) {
  std::istringstream lines(table);
  std::string head;
  std::string line;
  std::getline(lines, head);
  std::getline(lines, line);
  line.erase(0, line.rfind('"') + 1);  // the name may hold commas
  std::istringstream names(head.substr(head.find(',')));
  std::istringstream values(line);
  std::string name;
  std::string value;
  while (std::getline(names, name, ',') && std::getline(values, value, ',')) {
    if (name == column) return std::stod(value);
  }
  return -1;
}

TEST(Views, ScalarTimeIsWhatWasIssued) {
  const Profile profile = load_profile("910b1");
  const Kernel kernel = kernel_on(profile);
  const std::string pipes = table_named(profile, "PipeUtilization.csv");
  const double cycles =
      profile.assumptions.dispatch_cycles *
      static_cast<double>(kernel.result.counters.instructions) /
      static_cast<double>(kernel.result.cores);
  const double us = profile.cycles_to_ns(cycles) * 1e-3;
  EXPECT_NEAR(cell(pipes, "aic_scalar_time(us)"), us, 1e-4 * us);
  EXPECT_GT(cell(pipes, "aic_scalar_ratio"), 0);
  EXPECT_LT(cell(pipes, "aic_scalar_ratio"), 1);
  EXPECT_EQ(cell(pipes, "aiv_scalar_time(us)"), 0);  // no vector core works
}

TEST(Views, CyclesAreCountedForEachKindOfCore) {
  const Profile profile = load_profile("910b1");
  Gemm gemm;
  gemm.M = gemm.N = gemm.K = 2048;
  gemm.epilogue.activation = true;
  const Simulation result = simulate(profile, gemm);
  const Kernel kernel = {"silu", gemm, result};
  std::string blocks;
  std::string pipes;
  for (const Table& table : profiler_tables(profile, {kernel})) {
    if (table.file_name == "OpBasicInfo.csv") blocks = table.text;
    if (table.file_name == "PipeUtilization.csv") pipes = table.text;
  }
  EXPECT_THAT(blocks, HasSubstr("\"silu\",24,"));
  std::array<char, 40> cycles{};
  std::snprintf(cycles.data(), cycles.size(), ",%.6g,", 24 * result.cycles);
  EXPECT_THAT(pipes, HasSubstr(cycles.data()));
  std::snprintf(cycles.data(), cycles.size(), ",%.6g,", 48 * result.cycles);
  EXPECT_THAT(pipes, HasSubstr(cycles.data()));
}

TEST(Views, PictureHasARoofForEightBitFloats) {
  const Profile profile = load_profile("950");
  Gemm gemm;
  gemm.M = gemm.N = gemm.K = 2048;
  for (const Scheme scheme : {Scheme::kFp8, Scheme::kW16A16}) {
    gemm.scheme = scheme;
    const Simulation result = simulate(profile, gemm);
    const bool is_f8 = scheme == Scheme::kFp8;
    EXPECT_EQ(result.counters.macs_f8 > 0, is_f8);
    EXPECT_EQ(estimate(profile, gemm).counters.macs_f8 > 0, is_f8);
    const std::string svg = roofline_svg(profile, {{"product", gemm, result}});
    EXPECT_EQ(svg.find("f8 cube, ") != std::string::npos, is_f8);
  }
}

TEST(Views, PictureHoldsPointsOfFourBitProducts) {
  const Profile profile = load_profile("310p");
  Gemm gemm;
  gemm.M = gemm.N = gemm.K = 4096;
  gemm.scheme = Scheme::kW4A4;
  const Kernel kernel = {"w4a4", gemm, simulate(profile, gemm)};
  const double tops = kernel.result.operations / kernel.result.time_ns * 1e-3;
  ASSERT_GT(tops, profile.cube_tops(profile.cube.macs_s8));
  EXPECT_THAT(roofline_svg(profile, {kernel}), HasSubstr("s4 cube, "));
}

TEST(Views, ChipWithoutFixpipeHasNoSuchColumn) {
  EXPECT_THAT(table_named(load_profile("310p"), "PipeUtilization.csv"),
              Not(HasSubstr("fixpipe")));
}

TEST(Views, EveryLineOfATableHasAllCells) {
  std::istringstream lines(
      table_named(load_profile("310p"), "PipeUtilization.csv"));
  std::string head;
  std::string line;
  std::getline(lines, head);
  std::getline(lines, line);
  EXPECT_EQ(std::count(head.begin(), head.end(), ','),
            std::count(line.begin(), line.end(), ','));
}

TEST(Views, PictureEscapesLabelsAndShowsThePoint) {
  const Profile profile = load_profile("910b1");
  const std::string svg = roofline_svg(profile, {kernel_on(profile)});
  EXPECT_THAT(svg, HasSubstr("&lt;&amp;"));
  EXPECT_THAT(svg, HasSubstr("<circle"));
  EXPECT_THAT(svg, Not(HasSubstr("<&")));
}

}  // namespace
}  // namespace tessera::npu
