// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/gather.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tessera::reference {
namespace {

TEST(Gather, CopiesRowsInTheOrderAskedFor) {
  const std::vector<float> table = {1, 2, 3, 4, 5, 6};
  const int32_t rows[] = {2, 0, 2};
  std::vector<float> y(6);
  ASSERT_TRUE(embedding({table.data(), 3, 2, rows, 3}, y.data()).ok());
  EXPECT_EQ(y, (std::vector<float>{5, 6, 1, 2, 5, 6}));
  std::vector<double> z(6);
  ASSERT_TRUE(gather_rows({table.data(), 3, 2, rows, 3}, z.data()).ok());
  EXPECT_EQ(z, (std::vector<double>{5, 6, 1, 2, 5, 6}));
}

TEST(Gather, NamesTheRowOutsideTheTable) {
  const std::vector<float> table(6);
  double y[2];
  for (const int32_t row : {-1, 3}) {
    EXPECT_EQ(embedding({table.data(), 3, 2, &row, 1}, y).message(),
              "embedding: row " + std::to_string(row) + " of a table of 3");
  }
}

}  // namespace
}  // namespace tessera::reference
