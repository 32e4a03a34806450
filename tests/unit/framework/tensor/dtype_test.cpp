// SPDX-License-Identifier: Apache-2.0
//
// The table of element types against what tessera/types.h says of them.

#include "framework/tensor/dtype.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "tessera/types.h"

namespace tessera {
namespace {

struct DtypeFacts {
  uint32_t dtype;
  uint32_t bits;
  std::string_view name;
};

constexpr DtypeFacts kDtypeFacts[] = {
    {TSR_F32, 32, "f32"},      {TSR_F16, 16, "f16"},
    {TSR_BF16, 16, "bf16"},    {TSR_I32, 32, "i32"},
    {TSR_I8, 8, "i8"},         {TSR_U8, 8, "u8"},
    {TSR_I4, 4, "i4"},         {TSR_U4, 4, "u4"},
    {TSR_F8E4M3, 8, "f8e4m3"}, {TSR_F8E5M2, 8, "f8e5m2"},
    {TSR_F4E2M1, 4, "f4e2m1"}, {TSR_E8M0, 8, "e8m0"},
    {TSR_I64, 64, "i64"},
};

class Dtype : public testing::TestWithParam<DtypeFacts> {};

TEST_P(Dtype, HasItsSizeAndName) {
  const auto& [dtype, bits, name] = GetParam();
  EXPECT_EQ(dtype_bits(dtype), bits);
  EXPECT_EQ(dtype_name(dtype), name);
  EXPECT_EQ(dtype_from_name(name), dtype);
}

TEST_P(Dtype, RoundsBytesUp) {
  const auto& [dtype, bits, name] = GetParam();
  for (const size_t count : {0U, 1U, 2U, 3U, 7U, 8U, 9U}) {
    const size_t bytes = dtype_bytes(dtype, count);
    EXPECT_GE(bytes * 8, count * bits);
    EXPECT_LT(bytes * 8, count * bits + 8);
  }
}

INSTANTIATE_TEST_SUITE_P(Tensor, Dtype, testing::ValuesIn(kDtypeFacts),
                         [](const auto& facts) {
                           return std::string(facts.param.name);
                         });

// A dtype that the ABI gains must be added to both tables.
TEST(DtypeTable, KnowsNothingBeyondTheTable) {
  size_t num_known = 0;
  for (uint32_t dtype = 0; dtype < 0x10000; ++dtype) {
    if (dtype_bits(dtype) != 0) ++num_known;
  }
  EXPECT_EQ(num_known, std::size(kDtypeFacts));
}

TEST(DtypeTable, SaysWhichDtypeItDoesNotKnow) {
  EXPECT_EQ(dtype_bits(TSR_DTYPE_NONE), 0U);
  EXPECT_EQ(dtype_bytes(99, 8), 0U);
  EXPECT_EQ(dtype_name(99), "dtype 99");
  EXPECT_EQ(dtype_from_name("f33"), uint32_t{TSR_DTYPE_NONE});
  EXPECT_EQ(dtype_from_name(""), uint32_t{TSR_DTYPE_NONE});
}

}  // namespace
}  // namespace tessera
