// SPDX-License-Identifier: Apache-2.0
//
// What a chip runs follows from its profile, and a refusal names what the
// hardware lacks.

#include "backends/npu_sim/device/capabilities.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "backends/npu_sim/profile/profile.hpp"
#include "tessera/capability.hpp"

namespace tessera::npu {
namespace {

bool multiplies(const KernelRows& rows, uint32_t format, uint32_t act_quant) {
  return std::any_of(
      rows.rows.begin(), rows.rows.end(), [&](const tsr_kernel_desc& row) {
        return row.op == TSR_OP_LINEAR && row.weight_format == format &&
               (row.act_quants >> act_quant & 1) != 0;
      });
}

TEST(NpuCapabilities, UnzipIsOf310pAlone) {
  for (const std::string& name : builtin_profiles()) {
    const KernelRows rows = kernel_rows(load_profile(name));
    EXPECT_EQ(multiplies(rows, TSR_WEIGHT_SPARSE_FIXED, TSR_ACT_I8_STATIC),
              name == "310p")
        << name;
  }
}

TEST(NpuCapabilities, EveryRowIsKnownToTheAbiAndNamedOnce) {
  for (const std::string& name : builtin_profiles()) {
    const KernelRows rows = kernel_rows(load_profile(name));
    std::vector<std::string> names;
    for (const tsr_kernel_desc& row : rows.rows) {
      EXPECT_EQ(sdk::unknown_value(row), "") << row.name;
      names.emplace_back(row.name);
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  }
}

TEST(NpuCapabilities, Bf16IsWhereTheCubeHasIt) {
  for (const std::string& name : builtin_profiles()) {
    const Profile profile = load_profile(name);
    const KernelRows rows = kernel_rows(profile);
    EXPECT_EQ(multiplies(rows, TSR_WEIGHT_BF16, TSR_ACT_FLOAT),
              profile.cube.bf16);
    for (const tsr_kernel_desc& row : rows.rows) {
      const bool takes = (row.x_dtypes >> TSR_BF16 & 1) != 0;
      if (row.op == TSR_OP_EMBEDDING) {
        EXPECT_TRUE(takes) << "a table is only moved";
      } else {
        EXPECT_EQ(takes, profile.cube.bf16) << name << " " << row.name;
      }
    }
  }
}

TEST(NpuCapabilities, BlocksOfAnInt8CacheHoldAMultipleOf8Tokens) {
  const KernelRows rows = kernel_rows(load_profile("910b"));
  for (const tsr_kernel_desc& row : rows.rows) {
    if (row.op != TSR_OP_ATTENTION) continue;
    const bool is_int8 = (row.kv_formats >> TSR_KV_I8_TOKEN & 1) != 0;
    EXPECT_EQ(row.kv_formats >> TSR_KV_I8_CHANNEL & 1, is_int8 ? 1U : 0U);
    EXPECT_EQ(sdk::detail::range_has(row.block_size, 12), !is_int8) << row.name;
    EXPECT_TRUE(sdk::detail::range_has(row.block_size, 24)) << row.name;
  }
}

TEST(NpuCapabilities, RefusalsNameTheHardware) {
  const Profile chip_310p = load_profile("310p");
  const Profile chip_910b = load_profile("910b");
  sdk::OpFacts facts;
  facts.kind = TSR_OP_LINEAR;
  facts.weight_format = TSR_WEIGHT_SPARSE_FIXED;
  EXPECT_EQ(missing_hardware(chip_310p, facts), std::nullopt);
  EXPECT_EQ(missing_hardware(chip_910b, facts),
            chip_910b.name +
                " has no weight-unzip engine, so no w8a8sc; 310p has one");
  facts.weight_format = TSR_WEIGHT_BF16;
  EXPECT_EQ(missing_hardware(chip_910b, facts), std::nullopt);
  EXPECT_EQ(missing_hardware(chip_310p, facts), "310p has no bf16; f16 works");
  facts.weight_format = TSR_WEIGHT_F8E4M3;
  EXPECT_EQ(missing_hardware(chip_910b, facts),
            chip_910b.name + " has no fp8; the first chip with it is 950");
  EXPECT_EQ(missing_hardware(load_profile("950"), facts), std::nullopt);
}

}  // namespace
}  // namespace tessera::npu
