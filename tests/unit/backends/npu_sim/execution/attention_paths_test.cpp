// SPDX-License-Identifier: Apache-2.0
//
// Attention by the fast path of function/ and by the instructions that the
// compiler emits: the same bits over random sequences, heads, masks and splits,
// for every kind of cache; and both lie where the oracle says.

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <tuple>
#include <vector>

#include "tests/unit/backends/npu_sim/execution/attention_case.hpp"

namespace tessera::npu {
namespace {

constexpr int kNumSteps = 16;

class AttentionPaths
    : public testing::TestWithParam<std::tuple<const char*, KvType>> {
 protected:
  void compare(ValueShape shape, int steps);
};

void hold_to_oracle(AttentionCase& step, const std::vector<uint16_t>& bits) {
  std::vector<double> values;
  std::vector<double> bound;
  step.oracle(values, bound);
  ASSERT_EQ(bits.size(), values.size());
  const Half half = step.dtype() == TSR_F16 ? Half::kF16 : Half::kBf16;
  for (size_t i = 0; i < bits.size(); ++i) {
    const double got = f32_from(half, bits[i]);
    if (std::isnan(values[i]) && std::isnan(got)) continue;
    ASSERT_LE(std::fabs(got - values[i]), bound[i])
        << step.text() << " element " << i;
  }
}

void AttentionPaths::compare(ValueShape shape, int steps) {
  const auto& [name, kv] = GetParam();
  const Profile profile = load_profile(name);
  if (kv == KvType::kBf16 && !profile.cube.bf16) {
    GTEST_SKIP() << name << " has no bf16";
  }
  std::mt19937 rng(42);
  int with_splits = 0;
  for (int i = 0; i < steps; ++i) {
    AttentionCase both(profile, kv, shape, rng);
    with_splits += both.num_splits() > 1 ? 1 : 0;
    const std::vector<uint16_t> fast = both.fast();
    ASSERT_EQ(both.instructions(), fast) << both.text();
    hold_to_oracle(both, fast);
    if (HasFatalFailure()) return;
  }
  if (profile.cube_cores > 1 && shape == ValueShape::kAsKeys) {
    EXPECT_GT(with_splits, 0);
  }
}

TEST_P(AttentionPaths, AgreeBitForBitAndWithTheOracle) {
  compare(ValueShape::kAsKeys, kNumSteps);
}

TEST_P(AttentionPaths, AgreeWhereValuesHaveOtherDims) {
  compare(ValueShape::kOwnDim, kNumSteps / 2);
}

TEST_P(AttentionPaths, AgreeWhereValuesLieInKeys) {
  compare(ValueShape::kInKeys, kNumSteps / 2);
}

INSTANTIATE_TEST_SUITE_P(
    Chips, AttentionPaths,
    testing::Combine(testing::Values("910b1", "310p", "310b1"),
                     testing::Values(KvType::kF16, KvType::kBf16, KvType::kS8,
                                     KvType::kS8Channel, KvType::kFa3)));

}  // namespace
}  // namespace tessera::npu
