// SPDX-License-Identifier: Apache-2.0

#include "framework/format/element.hpp"

#include <gtest/gtest.h>

#include <array>

#include "tessera/types.h"

namespace tessera::format {
namespace {

TEST(Element, NibblesLieLowFirstAndLeaveTheirNeighbourAlone) {
  std::array<std::byte, 2> row{};
  for (uint32_t k = 0; k < 4; ++k) set_nibble(row.data(), k, k + 10);
  EXPECT_EQ(row[0], std::byte{0xba});
  EXPECT_EQ(row[1], std::byte{0xdc});
  set_nibble(row.data(), 1, 3);
  EXPECT_EQ(nibble(row.data(), 0), 10u);
  EXPECT_EQ(nibble(row.data(), 1), 3u);
}

TEST(Element, EveryDtypeRoundTripsItsOwnValues) {
  struct Case {
    uint32_t dtype;
    float low;
    float high;
  };
  const Case cases[] = {
      {TSR_F32, -1e30f, 0x1p-149f},    {TSR_F16, -65504.0f, 0x1p-24f},
      {TSR_BF16, -3e38f, 1.5f},        {TSR_I32, -1e6f, 1e6f},
      {TSR_I64, -1e6f, 1e6f},          {TSR_I8, -128.0f, 127.0f},
      {TSR_U8, 0.0f, 255.0f},          {TSR_I4, -8.0f, 7.0f},
      {TSR_U4, 0.0f, 15.0f},           {TSR_F8E4M3, -448.0f, 0x1p-9f},
      {TSR_F8E5M2, -57344.0f, 1.0f},   {TSR_F4E2M1, -6.0f, 0.5f},
      {TSR_E8M0, 0x1p-127f, 0x1p127f},
  };
  for (const Case& item : cases) {
    std::array<std::byte, 24> row{};
    set_element_value(item.dtype, row.data(), 1, item.low);
    set_element_value(item.dtype, row.data(), 2, item.high);
    if (item.dtype != TSR_BF16) {
      EXPECT_EQ(element_value(item.dtype, row.data(), 1), item.low)
          << item.dtype;
    }
    EXPECT_EQ(element_value(item.dtype, row.data(), 2), item.high)
        << item.dtype;
  }
}

}  // namespace
}  // namespace tessera::format
