// SPDX-License-Identifier: Apache-2.0
//
// The edges of the forms.

#include <algorithm>

#include "tests/unit/backends/device/attention_case.hpp"
#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

// Panels of 1, 4, 8 and 16 rows, each full and with one row missing or more.
TEST(VulkanForm, EveryNumberOfRowsIsTheOracle) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  for (const char* name :
       {"f32", "bf16", "i8_channel", "u4_g32_f16", "sparse"}) {
    SCOPED_TRACE(name);
    const auto planes = random_weight(weight_kind(name), 70, 320, rng);
    for (const uint32_t M : {1U, 3U, 4U, 5U, 8U, 9U, 16U, 33U}) {
      LinearCase c;
      c.M = M;
      c.n_begin = 3;
      c.x_dtype = M % 2 == 0 ? TSR_F16 : TSR_BF16;
      expect_linear(device, planes, c);
    }
  }
}

TEST(VulkanForm, ExtremeCodesAreAddedExactly) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  auto planes = random_weight(weight_kind("i8_channel"), 20, 1027, rng);
  for (format::Plane& plane : planes.planes) {
    if (plane.role != TSR_PLANE_CODES) continue;
    std::fill(plane.owned.begin(), plane.owned.end(), std::byte{0x80});
  }
  for (const uint32_t M : {1U, 17U}) {
    LinearCase c;
    c.M = M;
    c.act_quant = TSR_ACT_I8_DYNAMIC;
    c.y_dtype = TSR_I32;
    expect_linear(device, planes, c);
  }
}

// Integer attention in blocks keeps the scores of so many keys and looks for
// those of the rest again; on both sides of that, and short sequences beside.
TEST(VulkanForm, IntegerAttentionIsExactWhereverScoresHaveNoPlace) {
  TSR_OPEN_OR_SKIP(device, {});
  AttentionCase c;
  c.num_q_heads = 8;
  c.num_kv_heads = 1;
  c.head_dim = 32;
  for (const uint32_t keys : {4096U, 4097U, 4200U}) {
    for (const uint32_t window : {0U, 100U}) {
      c.mask = window == 0 ? TSR_MASK_CAUSAL : TSR_MASK_SLIDING;
      c.window = window;
      c.seqs = {{1, keys}, {1, 40}};
      AttentionStep(*device, c, TSR_KV_I8_HEAD).run(device);
      c.seqs = {{3, keys}, {2, 40}};
      AttentionStep(*device, c, TSR_KV_I8_HEAD).run(device);
    }
  }
}

}  // namespace
}  // namespace tessera::device_test
