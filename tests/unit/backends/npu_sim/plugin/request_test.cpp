// SPDX-License-Identifier: Apache-2.0
//
// The simulator extension: what it takes, what it refuses, what it answers.

#include "backends/npu_sim/questions/request.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "backends/npu_sim/questions/simulator.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

using Json = nlohmann::ordered_json;

Json ask(const char* profile, const Json& request) {
  return Json::parse(
      simulate_request(load_profile(profile), Numerics::kRef, request.dump()));
}

Json linear_request(int64_t M, int64_t N, int64_t K) {
  return {{"op", "linear"}, {"M", M}, {"N", N}, {"K", K}};
}

std::string refusal_of(const std::string& request) {
  try {
    simulate_request(load_profile("910b"), Numerics::kRef, request);
  } catch (const sdk::Error& error) {
    return error.what();
  }
  return "taken";
}

TEST(NpuSimulatorRequest, AnswersWithEveryDocumentedKey) {
  const Json reply = ask("910b", linear_request(256, 256, 256));
  for (const char* key : {"profile",
                          "kernel",
                          "cycles",
                          "time_ns",
                          "launch_ns",
                          "cores",
                          "instructions",
                          "operations",
                          "canonical_bytes",
                          "pipes",
                          "bytes",
                          "l2_hit_rate",
                          "cube_utilisation",
                          "vendor_utilisation",
                          "energy",
                          "tiling",
                          "estimate_ns",
                          "limit_ns",
                          "limit_kind",
                          "files"}) {
    EXPECT_TRUE(reply.contains(key)) << key;
  }
  EXPECT_EQ(reply.at("operations").get<double>(), 2.0 * 256 * 256 * 256);
  EXPECT_GT(reply.at("time_ns").get<double>(), 0.0);
  EXPECT_EQ(reply.at("energy").at("note"), "estimate");
}

TEST(NpuSimulatorRequest, TakesEveryOp) {
  const Json requests[] = {
      {{"op", "grouped_linear"}, {"rows", {16, 100}}, {"N", 128}, {"K", 256}},
      {{"op", "add"}, {"rows", 256}, {"columns", 1024}},
      {{"op", "rms_norm"}, {"rows", 256}, {"columns", 1024}},
      {{"op", "layer_norm"}, {"rows", 2}, {"columns", 300000}},
      {{"op", "softmax"}, {"rows", 3}, {"columns", 70}, {"type", "f32"}},
      {{"op", "rope"}, {"rows", 7}, {"columns", 1024}, {"head_dim", 128}},
      {{"op", "silu_mul"}, {"rows", 256}, {"columns", 1024}},
      {{"op", "gelu"}, {"rows", 256}, {"columns", 1024}, {"cores", 1}},
      {{"op", "embedding"}, {"rows", 256}, {"columns", 1024}},
      {{"op", "copy"},
       {"rows", 256},
       {"columns", 1024},
       {"tile_rows", 16},
       {"tile_columns", 1024}},
      {{"op", "attention"},
       {"q_lens", {1, 1}},
       {"seq_lens", {100, 300}},
       {"heads", 8},
       {"kv_heads", 2},
       {"head_dim", 128}},
      {{"op", "attention"},
       {"q_lens", {1}},
       {"seq_lens", {512}},
       {"heads", 16},
       {"kv_heads", 1},
       {"head_dim", 576},
       {"v_dim", 512},
       {"v_in_k", true}}};
  for (const Json& request : requests) {
    const Json reply = ask("910b", request);
    EXPECT_GT(reply.at("time_ns").get<double>(), 0.0) << request.dump();
  }
}

// What L2 keeps of results, or serves again, DRAM need not move.
TEST(NpuSimulatorRequest, NoOpBeatsItsLimit) {
  const Json requests[] = {
      linear_request(4096, 4096, 4096),
      {{"op", "add"}, {"rows", 8192}, {"columns", 8192}},
      {{"op", "copy"}, {"rows", 9216}, {"columns", 16384}},
      {{"op", "copy"}, {"rows", 2048}, {"columns", 2048}, {"repeats", 100}},
      {{"op", "silu_mul"}, {"rows", 4096}, {"columns", 12288}},
      {{"op", "embedding"}, {"rows", 4096}, {"columns", 4096}}};
  for (const Json& request : requests) {
    for (const char* chip : {"910b", "310p", "310b"}) {
      const Json reply = ask(chip, request);
      EXPECT_LE(reply.at("limit_ns").get<double>(),
                reply.at("time_ns").get<double>())
          << chip << ' ' << request.dump();
    }
  }
}

TEST(NpuSimulatorRequest, FewerCoresTakeLonger) {
  Json request = linear_request(2048, 2048, 2048);
  const double all = ask("910b", request).at("time_ns").get<double>();
  request["cores"] = 4;
  EXPECT_GT(ask("910b", request).at("time_ns").get<double>(), 2.0 * all);
}

TEST(NpuSimulatorRequest, NamesWhatIsWrong) {
  EXPECT_EQ(refusal_of("{"), "simulator: the request is not JSON");
  EXPECT_EQ(refusal_of("[]"), "simulator: the request is not an object");
  EXPECT_EQ(refusal_of(R"({"op": "linear", "M": 1, "N": 2})"),
            "simulator: K is missing");
  EXPECT_EQ(refusal_of(R"({"op": "linear", "M": 0, "N": 2, "K": 3})"),
            "simulator: M 0 is not a whole number from 1 to 1048576");
  EXPECT_EQ(refusal_of(R"({"op": "linear", "M": 1, "N": 2, "K": 1e300})"),
            "simulator: K 1e+300 is not a whole number from 1 to 1048576");
  EXPECT_EQ(
      refusal_of(R"({"op": "linear", "M": 1, "N": 2, "K": 3, "core": 1})"),
      "simulator: key core is unknown; the nearest is cores");
  EXPECT_EQ(refusal_of(R"({"op": "sort"})"),
            "simulator: op sort is not one of linear, grouped_linear, add, "
            "copy, attention, rms_norm, layer_norm, rope, softmax, silu_mul, "
            "gelu, embedding");
}

TEST(NpuSimulatorRequest, RefusesSumsThatEndInsideAFractal) {
  Json request = linear_request(64, 256, 256);
  request["scheme"] = "w4a8";
  request["group_size"] = 64;
  EXPECT_EQ(refusal_of(request.dump()), "taken");
  request["group_size"] = 48;
  EXPECT_EQ(refusal_of(request.dump()),
            "gemm w4a8: group_size 48 is no multiple of the 32 values that the "
            "cube sums at a time; 64 would work");
  request["scheme"] = "w4a16";  // whose weights take their scales before
  EXPECT_EQ(refusal_of(request.dump()), "taken");
}

TEST(NpuSimulatorRequest, RefusesResultsThatNoChipWrites) {
  Json request = linear_request(64, 256, 256);
  request["out"] = "s4";
  EXPECT_EQ(refusal_of(request.dump()),
            "gemm w16a16: results in s4 do not leave the chip; s8 does");
}

TEST(NpuSimulatorRequest, RefusesTypesThatNoVectorUnitComputes) {
  Json sum = {{"op", "add"}, {"rows", 4}, {"columns", 64}, {"type", "s32"}};
  EXPECT_EQ(refusal_of(sum.dump()),
            "vector: s32 is not computed; f16, bf16 and f32 are");
  sum["op"] = "softmax";
  sum["type"] = "bf16";
  EXPECT_EQ(refusal_of(sum.dump()), "taken");
  EXPECT_THROW(ask("310p", sum), sdk::Error);  // has no bf16
}

TEST(NpuSimulatorRequest, RefusesWhatTheMemoryDoesNotHold) {
  EXPECT_EQ(refusal_of(linear_request(1 << 20, 1 << 15, 1 << 15).dump()),
            "gemm: 139.6 GB, of which 910b1 holds 68.7");
  Json copy = {{"op", "copy"}, {"rows", 1 << 20}, {"columns", 1 << 16}};
  EXPECT_EQ(refusal_of(copy.dump()),
            "copy: 137.4 GB, of which 910b1 holds 68.7");
  copy["rows"] = 1024;
  copy["repeats"] = 1024;  // of the same bytes
  EXPECT_EQ(refusal_of(copy.dump()), "taken");
}

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(NpuSimulatorRequest, WritesTheViewsItIsAskedFor) {
  const std::string folder = testing::TempDir();
  Json request = linear_request(512, 512, 512);
  request["trace"] = folder + "npu_trace.json";
  request["csv"] = folder + "npu_tables";
  request["svg"] = folder + "npu.svg";
  request["listing"] = folder + "npu.txt";
  const Json reply = ask("910b", request);
  EXPECT_EQ(reply.at("files").size(), 4U);

  const Json trace = Json::parse(file_text(folder + "npu_trace.json"));
  const double end_us = reply.at("time_ns").get<double>() / 1e3;
  size_t spans = 0;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    ++spans;
    EXPECT_LE(event.at("ts").get<double>() + event.at("dur").get<double>(),
              1.01 * end_us);
  }
  EXPECT_GT(spans, 0U);
  const std::string pipes =
      file_text(folder + "npu_tables/PipeUtilization.csv");
  EXPECT_NE(pipes.find("aic_mte2_time(us)"), std::string::npos);
  EXPECT_NE(pipes.find("aic_fixpipe_ratio"), std::string::npos);
  EXPECT_EQ(file_text(folder + "npu.svg").rfind("<svg", 0), 0U);
  EXPECT_NE(file_text(folder + "npu.txt").find("mmad"), std::string::npos);

  // As the profiler leaves it out where there is none.
  ask("310p", request);
  EXPECT_EQ(
      file_text(folder + "npu_tables/PipeUtilization.csv").find("fixpipe"),
      std::string::npos);

  request["trace"] = "/no/such/folder/trace.json";
  EXPECT_EQ(refusal_of(request.dump()),
            "/no/such/folder/trace.json: the file could not be written");
}

}  // namespace
}  // namespace tessera::npu
