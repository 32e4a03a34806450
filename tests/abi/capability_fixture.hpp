// SPDX-License-Identifier: Apache-2.0
//
// What the tests of tessera/capability.hpp share: a program of one op and a
// table of rows.

#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tessera/capability.hpp"
#include "tests/abi/record_builder.hpp"

namespace tessera::abi_test {

inline constexpr uint32_t kFloats =
    1U << TSR_F32 | 1U << TSR_F16 | 1U << TSR_BF16;
inline constexpr uint32_t kBothPhases = TSR_PREFILL | TSR_DECODE;

template <typename Element>
tsr_array array_of(const std::vector<Element>& elements) {
  return {elements.data(), static_cast<uint32_t>(elements.size()),
          sizeof(Element)};
}

inline tsr_kernel_desc make_row(uint32_t op) {
  tsr_kernel_desc row{};
  row.struct_size = sizeof(row);
  row.op = op;
  row.phases = kBothPhases;
  row.x_dtypes = kFloats;
  row.y_dtypes = kFloats;
  row.accumulator = TSR_F32;
  return row;
}

inline tsr_plane make_plane(uint32_t role, uint32_t dtype, uint32_t block_n,
                            uint32_t block_k) {
  tsr_plane plane{};
  plane.struct_size = sizeof(plane);
  plane.role = role;
  plane.dtype = dtype;
  plane.block_n = block_n;
  plane.block_k = block_k;
  return plane;
}

inline tsr_plane_rule make_rule(uint32_t role, uint32_t required,
                                tsr_range block_k) {
  tsr_plane_rule rule{};
  rule.struct_size = sizeof(rule);
  rule.role = role;
  rule.dtypes = 1U << TSR_F32 | 1U << TSR_U8;
  rule.required = required;
  rule.block_n = {1, 1, 0};
  rule.block_k = block_k;
  return rule;
}

// A program of one op, its weight and pool, and a table of rows.
class Capability : public testing::Test {
 protected:
  std::vector<tsr_refusal> check() {
    record_ = builder_.build();
    const sdk::ProgramView view(as_program(record_));
    return sdk::check_against(array_of(rows_), {view, weights_, pools_});
  }
  sdk::OpFacts facts() {
    record_ = builder_.build();
    const sdk::ProgramView view(as_program(record_));
    return sdk::read_op_facts({view, weights_, pools_}, 0);
  }
  void expect_refusal(uint32_t reason, const std::string& field, int64_t value,
                      int64_t nearest) {
    const auto refusals = check();
    ASSERT_EQ(refusals.size(), 1u);
    EXPECT_EQ(refusals[0].reason, reason) << refusals[0].message;
    EXPECT_EQ(refusals[0].field, field) << refusals[0].message;
    EXPECT_EQ(refusals[0].value, value) << refusals[0].message;
    EXPECT_EQ(refusals[0].nearest, nearest) << refusals[0].message;
    EXPECT_EQ(refusals[0].op, 0u);
  }
  void expect_invalid(const std::string& message) {
    try {
      check();
      FAIL() << "nothing thrown";
    } catch (const sdk::Error& error) {
      EXPECT_EQ(error.code(), TSR_INVALID_ARGUMENT);
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos)
          << error.what();
    }
  }

  ProgramBuilder builder_;
  std::vector<tsr_weight_desc> weights_;
  std::vector<tsr_kv_desc> pools_;
  std::vector<tsr_kernel_desc> rows_;
  std::vector<uint64_t> record_;
};

}  // namespace tessera::abi_test
