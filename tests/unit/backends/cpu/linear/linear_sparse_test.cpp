// SPDX-License-Identifier: Apache-2.0
//
// SPARSE_FIXED weights give the bits of the oracle, which expands tiles by
// itself, on every ISA.

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "tests/unit/backends/cpu/linear/linear_case.hpp"
#include "tests/unit/backends/cpu/ops/test_threads.hpp"
#include "tests/unit/framework/format/sparse_codes.hpp"

namespace tessera::cpu {
namespace {

format::WeightData sparse_planes(const format::CodeKind& kind, uint32_t N,
                                 uint32_t K, std::mt19937& rng) {
  format::Plane scale;
  scale.role = TSR_PLANE_SCALE;
  scale.dtype = TSR_F32;
  scale.rows = N;
  scale.cols = 1;
  scale.block_n = 1;
  scale.block_k = K;
  std::uniform_real_distribution<float> value(0.001f, 0.01f);
  std::vector<float> scales(N);
  for (float& s : scales) s = value(rng);
  const auto bytes = std::as_bytes(std::span(scales));
  scale.owned.assign(bytes.begin(), bytes.end());
  auto tiles = format::encode_sparse_fixed(N, K, kind.make(size_t{N} * K, rng));
  EXPECT_TRUE(tiles.ok()) << tiles.status().message();
  auto planes = format::sparse_fixed_weight(std::move(*tiles), scale);
  EXPECT_TRUE(planes.ok()) << planes.status().message();
  return std::move(*planes);
}

void expect_oracle_bits(const TestWeight& weight, int64_t M, Isa isa,
                        std::mt19937& rng) {
  const int64_t N = weight.num_rows();
  const TestTensor x(TSR_F32, M, weight.depth(), rng);
  TestTensor y(TSR_F32, M, N);
  Linear op;
  op.M = M;
  op.x = x.input();
  op.y = y.output();
  op.act_quant = TSR_ACT_I8_DYNAMIC;
  run_linear(weight.linear(), op, isa);

  const std::vector<float> values = x.values();
  reference::Linear p;
  p.weight = &weight.oracle();
  p.M = static_cast<uint32_t>(M);
  p.x = values.data();
  p.n_end = static_cast<uint32_t>(N);
  p.act_quant = TSR_ACT_I8_DYNAMIC;
  std::vector<float> expected(static_cast<size_t>(M * N));
  const Status status = reference::linear(p, expected.data());
  ASSERT_TRUE(status.ok()) << status.message();
  for (int64_t m = 0; m < M; ++m) {
    for (int64_t n = 0; n < N; ++n) {
      ASSERT_EQ(
          std::bit_cast<uint32_t>(y.at(m, n)),
          std::bit_cast<uint32_t>(expected[static_cast<size_t>(m * N + n)]))
          << "m=" << m << " n=" << n << " N=" << N << " K=" << weight.depth()
          << " seed 42";
    }
  }
}

TEST(LinearSparse, HasTheBitsOfTheOracleOnEveryIsa) {
  std::mt19937 rng(42);
  for (const Isa isa : runnable_isas()) {
    for (const format::CodeKind& kind : format::code_kinds()) {
      for (const auto& [N, K] : format::sparse_shapes()) {
        const TestWeight weight(sparse_planes(kind, N, K, rng));
        for (const int64_t M : {1, 2, 5, 8, 9}) {
          SCOPED_TRACE(kind.name);
          expect_oracle_bits(weight, M, isa, rng);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// Decoded in registers where the machine can, in scratch by the kernels of
// dense weights elsewhere and for many rows.
TEST(LinearSparse, RunsTheFusedKernelForFewRows) {
  std::mt19937 rng(42);
  const TestWeight weight(
      sparse_planes(format::code_kinds().back(), 40, 130, rng));
  const TestTensor x(TSR_F32, 9, 130, rng);
  TestTensor y(TSR_F32, 9, 40);
  Linear op;
  op.x = x.input();
  op.y = y.output();
  op.act_quant = TSR_ACT_I8_DYNAMIC;
  for (const Isa isa : runnable_isas()) {
    Exec exec;
    exec.isa = isa;
    for (const int64_t M : {1, 8, 9}) {
      op.M = M;
      const std::string name = linear_kernel_name(weight.linear(), op, exec);
      const bool is_fused = isa >= Isa::kAvx512Bf16 && M <= 8;
      EXPECT_EQ(name.find("sparse") != std::string::npos, is_fused) << name;
    }
  }
}

TEST(LinearSparse, IsTheSameForEveryNumberOfThreads) {
  std::mt19937 rng(42);
  const TestWeight weight(
      sparse_planes(format::code_kinds().back(), 700, 1000, rng));
  for (const int64_t M : {1, 8, 20}) {
    const TestTensor x(TSR_F32, M, 1000, rng);
    Linear op;
    op.M = M;
    op.x = x.input();
    op.act_quant = TSR_ACT_I8_DYNAMIC;
    TestTensor one(TSR_F32, M, 700);
    op.y = one.output();
    run_linear(weight.linear(), op, best_isa());
    for (const uint32_t num_threads : {2U, 3U}) {
      TestTensor many(TSR_F32, M, 700);
      op.y = many.output();
      const TestThreads threads(num_threads);
      run_linear(weight.linear(), op, best_isa(), threads.parallel());
      EXPECT_EQ(one.values(), many.values())
          << "M=" << M << " threads=" << num_threads;
    }
  }
}

// The compressed codes stay compressed: 16 rows take what their nibbles and
// escapes take, not a byte for each weight.
TEST(LinearSparse, IsNotExpandedWhenPacked) {
  std::mt19937 rng(42);
  const format::WeightData planes =
      sparse_planes(format::code_kinds().front(), 512, 1024, rng);
  const TestWeight weight(planes);
  const size_t codes = planes.find(TSR_PLANE_CODES)->owned.size();
  const size_t per_row = 512 * (4 + 4) + 512 / 16 * 8;  // sums, scales, starts
  EXPECT_LE(weight.linear().shape.packed_bytes, codes + per_row + 1024);
}

void expect_refused(const format::WeightData& planes, const std::string& why) {
  const format::WeightView view = planes.view();
  const WeightShape shape = weight_shape(view.desc());
  AlignedBytes packed(shape.packed_bytes);
  try {
    pack_rows(shape, view.desc(), 0, shape.N, packed.data());
    FAIL() << "packed; expected: " << why;
  } catch (const sdk::Error& error) {
    EXPECT_NE(std::string(error.what()).find(why), std::string::npos)
        << error.what();
  }
}

// Tile 1 of 2 x 2 with `begin` and `end` in the index.
format::WeightData with_tile_1(format::WeightData planes, int64_t begin,
                               int64_t end) {
  for (format::Plane& plane : planes.planes) {
    if (plane.role != TSR_PLANE_INDEX) continue;
    std::memcpy(plane.owned.data() + 8, &begin, 8);
    std::memcpy(plane.owned.data() + 16, &end, 8);
  }
  return planes;
}

TEST(LinearSparse, RefusesDamagedTiles) {
  std::mt19937 rng(42);
  const format::CodeKind uniform = format::code_kinds()[1];
  const format::WeightData good = sparse_planes(uniform, 300, 200, rng);
  const auto bytes =
      static_cast<int64_t>(good.find(TSR_PLANE_CODES)->owned.size());
  // A tile ends where the next begins, so tile 0 may be named instead.
  const std::string what = " do not hold it";
  for (const auto& [begin, end] : std::vector<std::pair<int64_t, int64_t>>{
           {-16, bytes},
           {16, 0},
           {0, bytes + 1},
           {bytes - 16, bytes},
           {0, 16 + 256 * 36},  // its nibbles, but not its escapes
           {INT64_MIN, INT64_MAX}}) {
    expect_refused(with_tile_1(good, begin, end), what);
  }
}

// Weight-only and integer alike: a compressed weight computes what the same
// codes uncompressed do, bit for bit.
TEST(LinearSparse, ComputesWhatTheDenseCodesDo) {
  std::mt19937 rng(42);
  const format::WeightData sparse =
      sparse_planes(format::code_kinds().back(), 257, 300, rng);
  const auto tiles = [&] {
    format::SparseTiles t{257, 300, sparse.find(TSR_PLANE_CODES)->owned, {}};
    t.index.resize(sparse.find(TSR_PLANE_INDEX)->cols);
    for (size_t i = 0; i < t.index.size(); ++i) {
      t.index[i] = format::load_element<int64_t>(
          sparse.find(TSR_PLANE_INDEX)->row(0), i);
    }
    return t;
  }();
  const auto codes = format::decode_sparse_fixed(tiles);
  ASSERT_TRUE(codes.ok()) << codes.status().message();
  format::Plane plane;
  plane.role = TSR_PLANE_CODES;
  plane.dtype = TSR_I8;
  plane.rows = 257;
  plane.cols = 300;
  plane.block_n = 1;
  plane.block_k = 1;
  const auto bytes = std::as_bytes(std::span(*codes));
  plane.owned.assign(bytes.begin(), bytes.end());
  const TestWeight compressed(sparse);
  const TestWeight dense(format::WeightData{
      TSR_WEIGHT_I8, 257, 300, {plane, *sparse.find(TSR_PLANE_SCALE)}});
  for (const Isa isa : runnable_isas()) {
    for (const uint32_t act_quant : {TSR_ACT_FLOAT, TSR_ACT_I8_DYNAMIC}) {
      const TestTensor x(TSR_F32, 3, 300, rng);
      TestTensor y(TSR_F32, 3, 257);
      TestTensor expected(TSR_F32, 3, 257);
      Linear op;
      op.M = 3;
      op.x = x.input();
      op.act_quant = act_quant;
      op.y = y.output();
      run_linear(compressed.linear(), op, isa);
      op.y = expected.output();
      run_linear(dense.linear(), op, isa);
      EXPECT_EQ(y.values(), expected.values());
    }
  }
}

}  // namespace
}  // namespace tessera::cpu
