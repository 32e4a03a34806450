// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/eval/gates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

EvalMetrics metrics_with(double kl_high, double accuracy) {
  EvalMetrics metrics;
  metrics.kl_mean = {kl_high / 2.0, 0.0, kl_high};
  metrics.accuracy = {accuracy, accuracy, accuracy};
  return metrics;
}

TEST(Gates, NoneSetNoneMissed) {
  EXPECT_THAT(missed_gates({}, metrics_with(9.0, 0.0), 1.0), IsEmpty());
}

TEST(Gates, MaxKlIsHeldToTheUpperEndNotTheMean) {
  Gates gates;
  gates.max_kl = 0.1;
  EXPECT_THAT(missed_gates(gates, metrics_with(0.099, 0.5), 0.5), IsEmpty());
  EXPECT_THAT(missed_gates(gates, metrics_with(0.1, 0.5), 0.5),
              ElementsAre(HasSubstr("not under --max-kl 0.1")));
}

TEST(Gates, MaxDropCountsPointsAgainstTheOracle) {
  Gates gates;
  gates.max_drop = 2.0;
  EXPECT_NEAR(accuracy_drop(metrics_with(0.0, 0.48), 0.5), 2.0, 1e-12);
  EXPECT_THAT(missed_gates(gates, metrics_with(0.0, 0.49), 0.5), IsEmpty());
  EXPECT_THAT(missed_gates(gates, metrics_with(0.0, 0.47), 0.5),
              ElementsAre(HasSubstr("more than --max-drop 2")));
}

TEST(Gates, GainingAccuracyIsNoDrop) {
  Gates gates;
  gates.max_drop = 0.0;
  EXPECT_THAT(missed_gates(gates, metrics_with(0.0, 0.6), 0.5), IsEmpty());
}

TEST(Gates, NanMissesEveryGate) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(missed_gates({1.0, 1.0}, metrics_with(nan, nan), 0.5).size(), 2U);
}

}  // namespace
}  // namespace tessera::cli
