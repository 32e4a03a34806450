// SPDX-License-Identifier: Apache-2.0
//
// The small ops: every kernel row that this machine can run gives the bits of
// tessera/portable_math.h, for all types and ragged shapes.

#include "backends/cpu/kernels/ops/ops.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "backends/cpu/kernels/ops/ops_table.hpp"
#include "framework/conformance/reference/portable.hpp"
#include "tessera/error.hpp"
#include "tessera/ops.h"
#include "tests/unit/backends/cpu/ops/matrix.hpp"
#include "tests/unit/backends/cpu/ops/test_threads.hpp"

namespace tessera::cpu {
namespace {

using Row = std::vector<float>;

// One, around a vector, around the 64 lanes of a sum, and a ragged larger one.
constexpr int64_t kWidths[] = {1, 15, 16, 17, 63, 64, 65, 200};
constexpr int64_t kNumRows = 5;

struct Types {
  uint32_t in;
  uint32_t weight;
  uint32_t out;
};
constexpr Types kTypes[] = {{TSR_F32, TSR_F32, TSR_F32},
                            {TSR_BF16, TSR_F32, TSR_BF16},
                            {TSR_F16, TSR_BF16, TSR_F32},
                            {TSR_F32, TSR_F16, TSR_F16}};

// Runs every kernel row of Op on kNumRows rows and holds each result against
// expected(r), rounded to y's type.
template <typename Op>
void expect_every_isa(Op op, Matrix& y, int64_t cols,
                      const std::function<Row(int64_t)>& expected) {
  for (const OpKernel<Op>& kernel : op_kernels<Op>()) {
    if (kernel.isa > best_isa()) continue;
    SCOPED_TRACE(kernel.name);
    op.y = y.out();
    kernel.run(op, 0, kNumRows);
    for (int64_t r = 0; r < kNumRows; ++r) {
      const Row row = expected(r);
      for (int64_t c = 0; c < cols; ++c) {
        expect_same(y.at(r, c),
                    rounded(y.dtype(), row[static_cast<size_t>(c)]));
      }
    }
    y.expect_guards_intact();
    if (testing::Test::HasFatalFailure()) return;
  }
}

Row rms_norm_row(const Row& x, const Row& weight, float eps) {
  Row y(x.size());
  reference::portable_rms_norm(
      {1, x.size(), x.data(), weight.data(), nullptr, eps}, y.data());
  return y;
}

Row layer_norm_row(const Row& x, const Row& weight, const Row& bias,
                   float eps) {
  Row y(x.size());
  reference::portable_layer_norm(
      {1, x.size(), x.data(), weight.data(), bias.data(), eps}, y.data());
  return y;
}

Row softmax_row(const Row& x, float scale) {
  Row y(x.size());
  reference::portable_softmax(x.data(), 1, x.size(), scale, y.data());
  return y;
}

template <typename Case>
void for_all_types_and_widths(const Case& check) {
  for (const Types& types : kTypes) {
    for (const int64_t D : kWidths) {
      SCOPED_TRACE(testing::Message()
                   << "dtypes " << types.in << ' ' << types.weight << ' '
                   << types.out << " D=" << D);
      std::mt19937 rng(42);
      check(types, D, rng);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Ops, RmsNormHasTheBitsOfThePortableHeader) {
  for_all_types_and_widths([](Types types, int64_t D, std::mt19937& rng) {
    Matrix x(types.in, kNumRows, D);
    Matrix weight(types.weight, 1, D);
    Matrix y(types.out, kNumRows, D);
    x.fill(rng);
    weight.fill(rng);
    const RmsNorm op{kNumRows, D, x.in(), {}, weight.vector(), 1e-5f};
    expect_every_isa(op, y, D, [&](int64_t r) {
      return rms_norm_row(x.row(r), weight.row(0), op.eps);
    });
  });
}

TEST(Ops, LayerNormHasTheBitsOfThePortableHeader) {
  for_all_types_and_widths([](Types types, int64_t D, std::mt19937& rng) {
    Matrix x(types.in, kNumRows, D);
    Matrix weight(types.weight, 1, D);
    Matrix bias(types.weight, 1, D);
    Matrix y(types.out, kNumRows, D);
    x.fill(rng);
    weight.fill(rng);
    bias.fill(rng);
    const LayerNorm op{kNumRows,      D,    x.in(), {}, weight.vector(),
                       bias.vector(), 1e-5f};
    expect_every_isa(op, y, D, [&](int64_t r) {
      return layer_norm_row(x.row(r), weight.row(0), bias.row(0), op.eps);
    });
  });
}

TEST(Ops, SoftmaxHasTheBitsOfThePortableHeader) {
  for_all_types_and_widths([](Types types, int64_t D, std::mt19937& rng) {
    Matrix x(types.in, kNumRows, D);
    Matrix y(types.out, kNumRows, D);
    x.fill(rng, 20.0f);
    x.set(1, 0, -std::numeric_limits<float>::infinity());
    x.set(2, D - 1, std::numeric_limits<float>::quiet_NaN());
    const Softmax op{kNumRows, D, x.in(), {}, 0.3f};
    expect_every_isa(op, y, D,
                     [&](int64_t r) { return softmax_row(x.row(r), 0.3f); });
  });
}

TEST(Ops, ElementwiseOpsHaveTheBitsOfThePortableHeader) {
  for_all_types_and_widths([](Types types, int64_t D, std::mt19937& rng) {
    Matrix a(types.in, kNumRows, D);
    Matrix b(types.weight, kNumRows, D);
    Matrix y(types.out, kNumRows, D);
    a.fill(rng, 5.0f);
    b.fill(rng, 5.0f);
    a.set(0, 0, std::numeric_limits<float>::quiet_NaN());
    a.set(1, 0, -1e4f);
    a.set(2, 0, 1e4f);
    const auto map = [&](float (*f)(float, float)) {
      return [&, f](int64_t r) {
        Row out = a.row(r);
        const Row other = b.row(r);
        for (size_t i = 0; i < out.size(); ++i) out[i] = f(out[i], other[i]);
        return out;
      };
    };
    expect_every_isa(Add{kNumRows, D, a.in(), b.in(), {}}, y, D,
                     map([](float v, float w) { return v + w; }));
    expect_every_isa(SiluMul{kNumRows, D, a.in(), b.in(), {}}, y, D,
                     map([](float v, float w) { return tsr_silu_f32(v) * w; }));
    expect_every_isa(Gelu{kNumRows, D, a.in(), {}, TSR_EPILOGUE_GELU_ERF}, y, D,
                     map([](float v, float) { return tsr_gelu_erf_f32(v); }));
    expect_every_isa(Gelu{kNumRows, D, a.in(), {}, TSR_EPILOGUE_GELU_TANH}, y,
                     D,
                     map([](float v, float) { return tsr_gelu_tanh_f32(v); }));
  });
}

// Dense arguments through the vector functions, subnormals and specials too.
TEST(Ops, VectorFunctionsAgreeWithTheHeaderOnAllMagnitudes) {
  constexpr int64_t kCols = 1 << 16;
  Matrix x(TSR_F32, kNumRows, kCols);
  Matrix y(TSR_F32, kNumRows, kCols);
  for (int64_t r = 0; r < kNumRows; ++r) {
    for (int64_t c = 0; c < kCols; ++c) {
      const auto bits =
          static_cast<uint32_t>(c << 16) + 12347u * static_cast<uint32_t>(r);
      x.set(r, c, tsr_from_bits_f32(bits));
    }
  }
  const auto map = [&](float (*f)(float)) {
    return [&, f](int64_t r) {
      Row out = x.row(r);
      for (float& v : out) v = f(v);
      return out;
    };
  };
  expect_every_isa(Gelu{kNumRows, kCols, x.in(), {}, TSR_EPILOGUE_GELU_ERF}, y,
                   kCols, map(tsr_gelu_erf_f32));
  expect_every_isa(Gelu{kNumRows, kCols, x.in(), {}, TSR_EPILOGUE_GELU_TANH}, y,
                   kCols, map(tsr_gelu_tanh_f32));
  Matrix half(TSR_F16, kNumRows, kCols);
  Matrix one(TSR_F32, kNumRows, kCols);
  for (int64_t r = 0; r < kNumRows; ++r) {
    for (int64_t c = 0; c < kCols; ++c) one.set(r, c, 1.0f);
  }
  expect_every_isa(SiluMul{kNumRows, kCols, x.in(), one.in(), {}}, half, kCols,
                   map(tsr_silu_f32));
}

struct RopeCase {
  int64_t num_heads, head_dim, rotary_dim;
};
constexpr RopeCase kRopeCases[] = {{1, 2, 2},   {3, 8, 8},   {2, 20, 12},
                                   {2, 64, 64}, {1, 96, 48}, {4, 128, 128},
                                   {2, 70, 66}, {1, 17, 16}, {2, 16, 0}};

Row rope_row(const Row& x, const float* row, const RopeCase& c,
             uint32_t style) {
  Row y = x;
  const int64_t half = c.rotary_dim / 2;
  for (int64_t h = 0; h < c.num_heads; ++h) {
    float* head = y.data() + h * c.head_dim;
    for (int64_t i = 0; i < half; ++i) {
      float* first = style == TSR_ROPE_HALF ? head + i : head + 2 * i;
      float* second = style == TSR_ROPE_HALF ? first + half : first + 1;
      tsr_rotate_f32(*first, *second, row[i], row[half + i], first, second);
    }
  }
  return y;
}

TEST(Ops, RopeHasTheBitsOfThePortableHeader) {
  constexpr int64_t kMaxPositions = 11;
  const int32_t positions[kNumRows] = {0, 10, 3, 3, 7};
  for (const RopeCase& c : kRopeCases) {
    for (const uint32_t style : {TSR_ROPE_HALF, TSR_ROPE_INTERLEAVED}) {
      for (const Types& types : kTypes) {
        SCOPED_TRACE(testing::Message()
                     << "head_dim=" << c.head_dim << " style=" << style);
        std::mt19937 rng(42);
        const int64_t D = c.num_heads * c.head_dim;
        Matrix x(types.in, kNumRows, D);
        Matrix y(types.out, kNumRows, D);
        x.fill(rng);
        Row table(static_cast<size_t>(kMaxPositions * c.rotary_dim));
        std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
        for (float& v : table) v = uniform(rng);
        const Rope op{kNumRows,     c.num_heads, c.head_dim,   x.in(),
                      {},           positions,   table.data(), kMaxPositions,
                      c.rotary_dim, style};
        expect_every_isa(op, y, D, [&](int64_t r) {
          return rope_row(x.row(r), table.data() + positions[r] * c.rotary_dim,
                          c, style);
        });
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Ops, RopeWorksInPlace) {
  std::mt19937 rng(42);
  const int32_t positions[kNumRows] = {0, 1, 2, 3, 4};
  Row table(5 * 64);
  for (float& v : table) v = std::sin(static_cast<float>(&v - table.data()));
  for (const uint32_t style : {TSR_ROPE_HALF, TSR_ROPE_INTERLEAVED}) {
    Matrix x(TSR_BF16, kNumRows, 2 * 80);
    Matrix y(TSR_BF16, kNumRows, 2 * 80);
    x.fill(rng);
    Rope op{kNumRows,     2, 80, x.in(), y.out(), positions,
            table.data(), 5, 64, style};
    TestThreads threads(2);
    run(op, {&threads.parallel(), best_isa()});
    op.y = x.out();
    run(op, {&threads.parallel(), best_isa()});
    EXPECT_EQ(x.bytes(), y.bytes());
  }
}

TEST(Ops, GatherCopiesTheRowsAskedFor) {
  for_all_types_and_widths([](Types types, int64_t D, std::mt19937& rng) {
    Matrix table(types.in, 7, D);
    Matrix y(types.out, kNumRows, D);
    table.fill(rng);
    const int32_t ids[kNumRows] = {6, 0, 3, 3, 1};
    const Gather op{kNumRows, D, 7, table.in(), ids, {}};
    expect_every_isa(op, y, D, [&](int64_t r) { return table.row(ids[r]); });
  });
}

// y is off by the roundings of the sum (m terms a lane and the tree), of mean,
// eps, sqrt, reciprocal (halved by the root or added) and of two products.
// Source: Higham, section 3.1 (gamma), 4.2 (pairwise).
TEST(Ops, RmsNormIsCloseToDoublePrecision) {
  std::mt19937 rng(42);
  constexpr int64_t kD = 1000;
  Matrix x(TSR_F32, kNumRows, kD);
  Matrix weight(TSR_F32, 1, kD);
  x.fill(rng);
  weight.fill(rng);
  for (int64_t r = 0; r < kNumRows; ++r) {
    const Row y = rms_norm_row(x.row(r), weight.row(0), 1e-5f);
    double sum = 0.0;
    for (int64_t i = 0; i < kD; ++i) sum += double{x.at(r, i)} * x.at(r, i);
    const double factor = 1.0 / std::sqrt(sum / kD + double{1e-5f});
    const double u = 0x1p-24;
    const double roundings = (1 + 16 + 5 + 2) / 2.0 + 2 + 2;
    for (int64_t i = 0; i < kD; ++i) {
      const double exact = x.at(r, i) * factor * weight.at(0, i);
      EXPECT_NEAR(y[static_cast<size_t>(i)], exact,
                  roundings * u / (1 - roundings * u) * std::fabs(exact));
    }
  }
}

// More rows than one task takes, on any number of threads.
TEST(Ops, ResultsDoNotDependOnTheNumberOfThreads) {
  std::mt19937 rng(42);
  constexpr int64_t kRows = 70;
  constexpr int64_t kD = 1000;
  Matrix x(TSR_F32, kRows, kD);
  Matrix weight(TSR_BF16, 1, kD);
  x.fill(rng);
  weight.fill(rng);
  std::vector<Matrix> results;
  for (const uint32_t num_threads : {1u, 2u, 3u, 7u}) {
    results.emplace_back(TSR_BF16, kRows, kD);
    const RmsNorm op{kRows,           kD,   x.in(), results.back().out(),
                     weight.vector(), 1e-6f};
    TestThreads threads(num_threads);
    run(op, {&threads.parallel(), best_isa()});
    EXPECT_EQ(results.back().bytes(), results.front().bytes());
  }
}

// What `call` throws, as "code: message".
std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const sdk::Error& error) {
    return std::to_string(error.code()) + ": " + error.what();
  }
  return "no error";
}

TEST(Ops, RefuseIndicesOutsideTheirTable) {
  TestThreads threads(1);
  const Exec exec{&threads.parallel(), Isa::kScalar};
  Matrix table(TSR_F32, 7, 4);
  Matrix y(TSR_F32, 2, 4);
  for (const int32_t bad : {7, -1, std::numeric_limits<int32_t>::min()}) {
    const int32_t ids[2] = {0, bad};
    EXPECT_EQ(error_of([&] {
                run(Gather{2, 4, 7, table.in(), ids, y.out()}, exec);
              }),
              "3: gather: id " + std::to_string(bad) +
                  " of row 1 is not in the table of 7 rows");
  }
  const float angles[4] = {1, 1, 0, 0};
  const int32_t positions[2] = {0, 1};
  EXPECT_EQ(error_of([&] {
              run(Rope{2, 1, 4, y.in(), y.out(), positions, angles, 1, 4,
                       TSR_ROPE_HALF},
                  exec);
            }),
            "3: rope: position 1 of row 1 is not in the table of 1 rows");
}

TEST(Ops, RefuseTypesAndSizesThatMakeNoSense) {
  TestThreads threads(1);
  const Exec exec{&threads.parallel(), Isa::kScalar};
  Matrix x(TSR_F32, 2, 4);
  const ConstRows i8{x.in().data, TSR_I8, 4};
  EXPECT_EQ(error_of([&] {
              run(Add{2, 4, i8, x.in(), x.out()}, exec);
            }),
            "3: add: a has dtype 5, not f32, f16 or bf16");
  const ConstRows narrow{x.in().data, TSR_F32, 3};
  EXPECT_EQ(error_of([&] {
              run(Add{2, 4, x.in(), narrow, x.out()}, exec);
            }),
            "3: add: row_stride=3 of b is less than D=4");
  EXPECT_EQ(error_of([&] {
              run(Add{-1, 4, x.in(), x.in(), x.out()}, exec);
            }),
            "3: add: -1 rows of 4 elements are no matrix");
  EXPECT_EQ(error_of([&] {
              run(Gelu{2, 4, x.in(), x.out(), TSR_EPILOGUE_SILU}, exec);
            }),
            "3: gelu: unknown variant 1");
  EXPECT_EQ(error_of([&] {
              run(Rope{2, 1, 4, x.in(), x.out(), nullptr, nullptr, 1, 3,
                       TSR_ROPE_HALF},
                  exec);
            }),
            "3: rope: rotary_dim=3 is not an even number up to head_dim=4");
}

}  // namespace
}  // namespace tessera::cpu
