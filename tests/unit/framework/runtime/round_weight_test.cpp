// SPDX-License-Identifier: Apache-2.0
//
// What several threads round is what one does.

#include "framework/runtime/round_weight.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "framework/host/services/thread_pool.hpp"

namespace tessera {
namespace {

// Some pieces, the last one shorter.
constexpr uint32_t kN = 2500;
constexpr uint32_t kK = 1024;

struct RoundWeight : ::testing::Test {
  RoundWeight() : values(size_t{kN} * kK) {
    std::mt19937 rng(42);
    std::normal_distribution<float> normal;
    for (float& value : values) value = normal(rng);
  }

  Result<format::WeightData> round(const format::WeightScheme& scheme,
                                   ThreadPool* on) {
    return round_weight(
        scheme, kN, kK,
        [this](uint32_t n, std::span<float> out_row) -> Status {
          const auto row = std::span(values).subspan(size_t{n} * kK, kK);
          std::copy(row.begin(), row.end(), out_row.begin());
          return {};
        },
        on);
  }

  std::vector<float> values;
  ThreadPool pool{3};
};

TEST_F(RoundWeight, GivesTheBitsOfOneThread) {
  for (const uint32_t format :
       {TSR_WEIGHT_BF16, TSR_WEIGHT_I8, TSR_WEIGHT_I4, TSR_WEIGHT_F8E4M3,
        TSR_WEIGHT_MXFP4, TSR_WEIGHT_NVFP4, TSR_WEIGHT_Q4_0, TSR_WEIGHT_Q4_K}) {
    for (const uint32_t group_size : {0U, 32U}) {
      format::WeightScheme scheme;
      scheme.format = format;
      scheme.group_size = group_size;
      const auto alone =
          format::encode_weight(scheme, kN, kK, std::span<const float>(values));
      const auto shared = round(scheme, &pool);
      const std::string name = format::weight_format_name(format);
      ASSERT_TRUE(alone.ok()) << name << alone.status().message();
      ASSERT_TRUE(shared.ok()) << name << shared.status().message();
      EXPECT_EQ(shared->N, kN);
      ASSERT_EQ(shared->planes.size(), alone->planes.size()) << name;
      for (size_t i = 0; i < alone->planes.size(); ++i) {
        const format::Plane& a = alone->planes[i];
        const format::Plane& b = shared->planes[i];
        EXPECT_EQ(b.rows, a.rows) << name;
        EXPECT_EQ(b.owned, a.owned) << name << " plane " << i;
      }
    }
  }
}

TEST_F(RoundWeight, NamesTheRowThatFails) {
  values[size_t{2400} * kK + 7] = std::numeric_limits<float>::quiet_NaN();
  format::WeightScheme scheme;
  scheme.format = TSR_WEIGHT_I8;
  const auto alone = round(scheme, nullptr);
  const auto shared = round(scheme, &pool);
  ASSERT_FALSE(shared.ok());
  EXPECT_EQ(shared.status().message(), alone.status().message());
  EXPECT_NE(shared.status().message().find("row 2400"), std::string::npos);
}

}  // namespace
}  // namespace tessera
