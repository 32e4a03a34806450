// SPDX-License-Identifier: Apache-2.0
//
// A wrong linear is refused with one clear error.

#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/backends/cpu/linear/linear_case.hpp"

namespace tessera::cpu {
namespace {

struct Refusal {
  std::string name;
  std::function<void(Linear& op)> spoil;
  std::string message;
};

const Refusal refusals[] = {
    {"ColumnsPastN", [](Linear& op) { op.n_end = 21; },
     "linear: columns 0 to 21 of 20"},
    {"EmptyColumns",
     [](Linear& op) {
       op.n_begin = 7;
       op.n_end = 7;
     },
     "linear: columns 7 to 7 of 20"},
    {"XOfIntegers", [](Linear& op) { op.x.dtype = TSR_I8; },
     "linear: x has dtype 5, not f32, f16 or bf16"},
    {"OverlappingRows", [](Linear& op) { op.y.row_stride = 19; },
     "linear: y has rows of 20 elements every 19"},
    {"UnknownActivation", [](Linear& op) { op.activation = 9; },
     "linear: epilogue activation 9 is unknown"},
    {"AccumulateWithEpilogue",
     [](Linear& op) {
       op.accumulate = true;
       op.activation = TSR_EPILOGUE_SILU;
     },
     "linear: accumulate with an epilogue"},
    {"AccumulatorsOfFloats", [](Linear& op) { op.y.dtype = TSR_I32; },
     "linear: i32 accumulators of a float act_quant"},
    {"StaticWithoutPlanes",
     [](Linear& op) { op.act_quant = TSR_ACT_I8_STATIC; },
     "linear: static activations without planes act_scale and act_inv"},
    {"Q8WithoutGguf", [](Linear& op) { op.act_quant = TSR_ACT_Q8; },
     "linear: q8 activations with weight format 4"},
    {"UnknownActQuant", [](Linear& op) { op.act_quant = 99; },
     "linear: act_quant 99 is unknown"},
};

class LinearRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(LinearRefuses, AndNamesWhatClashes) {
  std::mt19937 rng(42);
  const WeightKindCase kind{"i8", {.format = TSR_WEIGHT_I8}};
  const TestWeight weight = random_weight(kind, 20, 32, rng);
  const TestTensor x(TSR_F32, 2, 32, rng);
  TestTensor y(TSR_F32, 2, 20);
  Linear op;
  op.M = 2;
  op.x = x.input();
  op.y = y.output();
  GetParam().spoil(op);
  try {
    run_linear(weight.linear(), op, best_isa());
    FAIL() << "was taken";
  } catch (const sdk::Error& error) {
    EXPECT_EQ(error.code(), TSR_INVALID_ARGUMENT);
    EXPECT_EQ(error.what(), GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(Reasons, LinearRefuses, testing::ValuesIn(refusals),
                         [](const auto& param) { return param.param.name; });

TEST(LinearWorkspace, TooSmallIsRefused) {
  std::mt19937 rng(42);
  const WeightKindCase kind{"f32", {.format = TSR_WEIGHT_F32}};
  const TestWeight weight = random_weight(kind, 20, 32, rng);
  const TestTensor x(TSR_F32, 2, 32, rng);
  TestTensor y(TSR_F32, 2, 20);
  Linear op;
  op.M = 2;
  op.x = x.input();
  op.y = y.output();
  AlignedBytes workspace(64);
  EXPECT_THROW(linear(weight.linear(), op, {workspace.data(), 64},
                      {nullptr, best_isa()}),
               sdk::Error);
}

}  // namespace
}  // namespace tessera::cpu
