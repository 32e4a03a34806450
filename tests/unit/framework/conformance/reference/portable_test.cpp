// SPDX-License-Identifier: Apache-2.0
//
// The portable ops lie within the error class of floats of the formulas in
// double, and sum in the lanes that tessera/portable_math.h names.

#include "framework/conformance/reference/portable.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "framework/conformance/reference/attention/softmax.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/elementwise.hpp"
#include "tessera/ops.h"
#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

constexpr size_t kWidths[] = {2, 63, 64, 65, 300};

void expect_close(const std::vector<float>& got,
                  const std::vector<double>& wanted, double magnitude) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_NEAR(got[i], wanted[i], float_bound(wanted[i], TSR_F32, magnitude))
        << i;
  }
}

TEST(Portable, NormsAreNearTheirFormulas) {
  std::mt19937 rng(42);
  for (const size_t D : kWidths) {
    const std::vector<float> x = normal_values(rng, 3 * D);
    const std::vector<float> weight = normal_values(rng, D);
    const std::vector<float> bias = normal_values(rng, D);
    Norm p{3, D, x.data(), weight.data(), nullptr, 1e-3f};
    std::vector<float> got(3 * D);
    std::vector<double> wanted(3 * D);
    portable_rms_norm(p, got.data());
    rms_norm(p, wanted.data());
    expect_close(got, wanted, 0.0);
    p.bias = bias.data();
    portable_layer_norm(p, got.data());
    layer_norm(p, wanted.data());
    expect_close(got, wanted, 8.0);  // of x - mean, and the bias
  }
}

TEST(Portable, SoftmaxIsNearItsFormula) {
  std::mt19937 rng(42);
  for (const size_t D : kWidths) {
    const std::vector<float> x = normal_values(rng, 2 * D);
    std::vector<float> got(2 * D);
    std::vector<double> wanted(2 * D);
    portable_softmax(x.data(), 2, D, 0.5f, got.data());
    softmax(x.data(), 2, D, 0.5f, wanted.data());
    expect_close(got, wanted, 0.0);
  }
}

TEST(Portable, ActivationsAreNearTheirFormulas) {
  std::mt19937 rng(42);
  const std::vector<float> a = normal_values(rng, 1000);
  const std::vector<float> b = normal_values(rng, 1000);
  std::vector<float> got(1000);
  std::vector<double> wanted(1000);
  portable_silu_mul(a.data(), b.data(), 1000, got.data());
  silu_mul(a.data(), b.data(), 1000, wanted.data());
  expect_close(got, wanted, 0.0);
  for (const uint32_t variant :
       {TSR_EPILOGUE_GELU_ERF, TSR_EPILOGUE_GELU_TANH}) {
    portable_gelu(a.data(), 1000, variant, got.data());
    gelu(a.data(), 1000, variant, wanted.data());
    expect_close(got, wanted, 4.0);
  }
}

// Half an ulp of 1 is lost wherever it meets the 1, which is in lane 0 alone.
TEST(Portable, SumsHaveSixtyFourLanes) {
  std::vector<float> x(64 * 64, std::log(0x1p-25f));
  x[0] = 0.0f;
  const float total = portable_exponentials(x.data(), x.size());
  EXPECT_EQ(x[0], 1.0f);
  EXPECT_NEAR(total, 1.0 + 63 * 64 * 0x1p-25, 0x1p-20);
}

}  // namespace
}  // namespace tessera::reference
