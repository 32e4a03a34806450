// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/timed/random_values.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "framework/conformance/reference/linear/weight.hpp"
#include "framework/format/scheme.hpp"

namespace tessera::bench {
namespace {

TEST(RandomValues, HaveTheirDeviation) {
  const std::vector<float> values = random_values(100000, 42, 0.5f);
  double sum = 0.0;
  double squares = 0.0;
  for (const float value : values) {
    sum += double{value};
    squares += double{value} * double{value};
  }
  const double count = static_cast<double>(values.size());
  // Three standard errors: 0.5 / sqrt(count), and of a deviation 1 / sqrt(2).
  EXPECT_NEAR(sum / count, 0.0, 3 * 0.5 / std::sqrt(count));
  EXPECT_NEAR(std::sqrt(squares / count), 0.5,
              3 * 0.5 / std::sqrt(2 * count) + 0.001);
}

class RandomWeight : public testing::TestWithParam<std::string> {};

// The rows past the distinct ones repeat them, whatever the planes look like.
TEST_P(RandomWeight, IsWholeInEveryScheme) {
  const auto scheme = find_scheme(GetParam());
  ASSERT_TRUE(scheme.ok());
  constexpr uint32_t kRows = 700;
  const auto weight = random_weight(*scheme, kRows, 256);
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  EXPECT_EQ(weight->N, kRows);
  const auto opened = reference::Weight::open(*weight);
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  std::vector<double> first(256);
  std::vector<double> repeated(256);
  opened->decode_row(3, first);
  opened->decode_row(512 + 3, repeated);
  if (!scheme->sparsified) {
    EXPECT_EQ(first, repeated);
  }
  EXPECT_TRUE(std::any_of(repeated.begin(), repeated.end(),
                          [](double value) { return value != 0.0; }));
  EXPECT_EQ(opened->static_activation().has_value(),
            has_static_activations(scheme->act_quant));
}

INSTANTIATE_TEST_SUITE_P(Schemes, RandomWeight,
                         testing::ValuesIn(scheme_names()));

TEST(RandomWeight, OfW8A8ScIsSmallerThanItsCodes) {
  const auto scheme = find_scheme("w8a8sc");
  ASSERT_TRUE(scheme.ok());
  const auto weight = random_weight(*scheme, 512, 512);
  ASSERT_TRUE(weight.ok());
  EXPECT_LT(weight->bytes(), 512U * 512 * 6 / 10);
}

}  // namespace
}  // namespace tessera::bench
