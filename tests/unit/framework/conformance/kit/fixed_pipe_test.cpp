// SPDX-License-Identifier: Apache-2.0
//
// The kit on a device that is opened to scale accumulators as a fixed pipe
// does.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "framework/conformance/kit/numerics/linear_trial.hpp"
#include "framework/conformance/kit/running/runner.hpp"

namespace tessera::conformance {
namespace {

const std::string kSimulator = TSR_BINARY_DIR "/plugins/tsr_plugin_npu_sim.so";

LinearSpec static_spec(bool has_fixed_pipe) {
  LinearSpec spec;
  spec.weight.scheme.format = TSR_WEIGHT_I8;
  spec.weight.static_activation = true;
  spec.act_quant = TSR_ACT_I8_STATIC;
  spec.has_fixed_pipe = has_fixed_pipe;
  return spec;
}

Expected expected_of(const LinearSpec& spec) {
  tsr_kernel_desc row{};
  row.struct_size = sizeof(row);
  row.weight_format = TSR_WEIGHT_I8;
  row.error_class = TSR_ERROR_EXACT;
  const Result<OpTrial> trial = make_linear(spec, &row);
  EXPECT_TRUE(trial.ok()) << trial.status().message();
  return trial.ok() ? trial->expected.front() : Expected();
}

// A scale loses up to 2^-10 of itself, and f16 rounds by 2^-11.
TEST(FixedPipe, CutScalesAreExpectedToShow) {
  const Expected whole = expected_of(static_spec(false));
  const Expected cut = expected_of(static_spec(true));
  ASSERT_EQ(whole.values.size(), cut.values.size());
  size_t different = 0;
  for (size_t i = 0; i < whole.values.size(); ++i) {
    different += whole.values[i] != cut.values[i] ? 1 : 0;
    EXPECT_NEAR(cut.values[i], whole.values[i],
                (0x1p-10 + 0x1p-11) * std::fabs(whole.values[i]) + 0x1p-24);
  }
  EXPECT_GT(different, whole.values.size() / 2);
}

TEST(FixedPipe, IsLeftOutWhereScalesAreFoundAtRunTime) {
  LinearSpec spec = static_spec(true);
  spec.weight.static_activation = false;
  spec.act_quant = TSR_ACT_I8_DYNAMIC;
  const Expected with = expected_of(spec);
  spec.has_fixed_pipe = false;
  EXPECT_EQ(with.values, expected_of(spec).values);
}

class OpenedSimulator : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSimulator)) GTEST_SKIP() << "not built";
  }
  // Device 0 is a 310b1, which has a fixed pipe.
  static KitReport run(const std::string& filter, const std::string& numerics) {
    KitOptions options;
    options.library = kSimulator;
    options.cases.quick = true;
    options.filter = filter;
    options.device_options = {{"numerics", numerics}};
    const Result<KitReport> report = run_kit(options);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? *report : KitReport();
  }
};

TEST_F(OpenedSimulator, AgreesBitForBitInEitherNumerics) {
  for (const char* numerics : {"hw", "ref"}) {
    const KitReport report = run("L1/linear_w8a8/i8_static*", numerics);
    EXPECT_GT(report.count(1, Verdict::kPass), 10U) << numerics;
    EXPECT_TRUE(report.passed()) << numerics;
    EXPECT_FALSE(report.is_complete());
    EXPECT_NE(report.rerun_command("x").find("--option numerics="),
              std::string::npos);
  }
}

TEST_F(OpenedSimulator, AnUnknownValueIsTheDevicesError) {
  const KitReport report = run("L1/*", "exact");
  EXPECT_FALSE(report.passed());
  ASSERT_FALSE(report.results.empty());
  EXPECT_NE(report.results.front().reason.find("numerics"), std::string::npos)
      << report.results.front().reason;
}

}  // namespace
}  // namespace tessera::conformance
