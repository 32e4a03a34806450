// SPDX-License-Identifier: Apache-2.0
//
// The fast path of function/ and the instructions that the compiler emits give
// the same bits on random shapes, in both numerics.

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/execution/execute.hpp"
#include "backends/npu_sim/function/linear/linear.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int kNumShapes = 12;
constexpr float kActScale = 0.0117f;

struct Shape {
  int64_t M;
  int64_t N;
  int64_t K;
};

Shape random_shape(std::mt19937& rng) {
  return {1 + static_cast<int64_t>(rng() % 40),
          1 + static_cast<int64_t>(rng() % 300),
          1 + static_cast<int64_t>(rng() % 500)};
}

std::string text_of(const Shape& shape) {
  return std::to_string(shape.M) + "x" + std::to_string(shape.N) + "x" +
         std::to_string(shape.K) + " seed 42";
}

// One plane over values of the test's.
template <typename Value>
tsr_plane plane_of(uint32_t role, uint32_t dtype, const Shape& shape,
                   int64_t columns, const std::vector<Value>& values) {
  tsr_plane plane{};
  plane.struct_size = sizeof(plane);
  plane.role = role;
  plane.dtype = dtype;
  plane.rows = static_cast<uint32_t>(shape.N);
  plane.cols = static_cast<uint32_t>(columns);
  plane.block_n = 1;
  plane.block_k = static_cast<uint32_t>(shape.K);
  plane.row_bytes = static_cast<uint64_t>(columns) * sizeof(Value);
  plane.data = values.data();
  return plane;
}

tsr_weight_desc desc_of(uint32_t format, const Shape& shape,
                        const std::vector<tsr_plane>& planes) {
  tsr_weight_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = format;
  desc.N = static_cast<uint32_t>(shape.N);
  desc.K = static_cast<uint32_t>(shape.K);
  desc.planes = {planes.data(), static_cast<uint32_t>(planes.size()),
                 sizeof(tsr_plane)};
  return desc;
}

template <typename Value>
std::vector<uint8_t> bytes_of_values(const std::vector<Value>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(Value));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

uint64_t number_of(Tensor tensor) { return static_cast<uint64_t>(tensor); }

// What the instructions leave in the output, [M, N] as f16 bits.
std::vector<uint16_t> executed(const Profile& profile, const Shape& shape,
                               Scheme scheme, Memory& memory) {
  Gemm gemm;
  gemm.M = shape.M;
  gemm.N = shape.N;
  gemm.K = shape.K;
  gemm.scheme = scheme;
  SimulateOptions options;
  options.tiling.split_k = 1;
  auto& out = memory.tensors[number_of(Tensor::kOutput)];
  out.resize(static_cast<size_t>(shape.M * shape.N * 2));
  execute(profile, compile(profile, gemm, options), memory);
  std::vector<uint16_t> bits(static_cast<size_t>(shape.M * shape.N));
  std::memcpy(bits.data(), out.data(), out.size());
  return bits;
}

Linear call_of(const Shape& shape, const ConstRows& x,
               std::vector<uint16_t>& y) {
  y.assign(static_cast<size_t>(shape.M * shape.N), 0);
  Linear op;
  op.M = shape.M;
  op.x = x;
  op.y = {y.data(), TSR_F16, shape.N};
  op.n_end = shape.N;
  return op;
}

class PathsAgree : public testing::TestWithParam<const char*> {
 protected:
  Profile profile_ = load_profile(GetParam());
  std::mt19937 rng_{42};
};

TEST_P(PathsAgree, OnFloatProducts) {
  std::normal_distribution<float> normal;
  for (int i = 0; i < kNumShapes; ++i) {
    const Shape shape = random_shape(rng_);
    std::vector<uint16_t> x(static_cast<size_t>(shape.M * shape.K));
    std::vector<uint16_t> w(static_cast<size_t>(shape.N * shape.K));
    for (uint16_t& bits : x) bits = f16_from_f32(normal(rng_));
    for (uint16_t& bits : w) bits = f16_from_f32(normal(rng_));
    Memory memory;
    memory.tensors[number_of(Tensor::kInput)] = bytes_of_values(x);
    memory.tensors[number_of(Tensor::kWeight)] = bytes_of_values(w);
    const std::vector<uint16_t> slow =
        executed(profile_, shape, Scheme::kW16A16, memory);

    const std::vector<tsr_plane> planes = {
        plane_of(TSR_PLANE_CODES, TSR_F16, shape, shape.K, w)};
    const HalfWeight weight =
        make_half_weight(desc_of(TSR_WEIGHT_F16, shape, planes), Half::kF16);
    std::vector<uint16_t> fast;
    LinearScratch scratch;
    linear(weight, call_of(shape, {x.data(), TSR_F16, shape.K}, fast), scratch,
           {});
    ASSERT_EQ(fast, slow) << text_of(shape);
  }
}

TEST_P(PathsAgree, OnIntegerProductsInBothNumerics) {
  std::uniform_int_distribution<int> code(-128, 127);
  std::uniform_real_distribution<float> scale(1e-4f, 3e-2f);
  for (int i = 0; i < kNumShapes; ++i) {
    const Shape shape = random_shape(rng_);
    std::vector<int8_t> a(static_cast<size_t>(shape.M * shape.K));
    std::vector<int8_t> w(static_cast<size_t>(shape.N * shape.K));
    for (int8_t& value : a) value = static_cast<int8_t>(code(rng_));
    for (int8_t& value : w) value = static_cast<int8_t>(code(rng_));
    std::vector<float> scales(static_cast<size_t>(shape.N));
    for (float& value : scales) value = scale(rng_);
    const std::vector<float> x(a.begin(), a.end());

    std::vector<tsr_plane> planes = {
        plane_of(TSR_PLANE_CODES, TSR_I8, shape, shape.K, w),
        plane_of(TSR_PLANE_SCALE, TSR_F32, shape, 1, scales)};
    IntegerWeight weight =
        make_integer_weight(desc_of(TSR_WEIGHT_I8, shape, planes));
    weight.rules.static_activation = StaticActivation{kActScale, 1.0f, 0};

    for (const Numerics numerics : {Numerics::kHw, Numerics::kRef}) {
      Memory memory;
      memory.numerics = numerics;
      memory.tensors[number_of(Tensor::kInput)] = bytes_of_values(a);
      memory.tensors[number_of(Tensor::kWeight)] = bytes_of_values(w);
      for (const float channel : scales) {
        FixpipeScale word;
        word.positive = word.negative = kActScale * channel;
        memory.fixpipe_words.push_back(make_fixpipe_word(word));
        memory.scales.push_back(kActScale * channel);
      }
      const std::vector<uint16_t> slow =
          executed(profile_, shape, Scheme::kInt8, memory);
      std::vector<uint16_t> fast;
      LinearScratch scratch;
      Linear op = call_of(shape, {x.data(), TSR_F32, shape.K}, fast);
      op.act_quant = TSR_ACT_I8_STATIC;
      linear(weight, op, {profile_.exit.fixpipe, numerics}, scratch, {});
      for (size_t at = 0; at < fast.size(); ++at) {
        // In `ref` nothing saturates but what is infinite anyway.
        const bool infinite = (fast[at] & 0x7FFF) == 0x7C00;
        if (infinite && numerics == Numerics::kRef) continue;
        ASSERT_EQ(fast[at], slow[at])
            << text_of(shape) << " element " << at << " numerics "
            << static_cast<int>(numerics);
      }
    }
  }
}

// Each group of rows has a weight of its own, one after another in memory.
// However many columns or whole weights are widened together.
TEST_P(PathsAgree, OnSlicesOfWideWeights) {
  std::normal_distribution<float> normal;
  for (int i = 0; i < kNumShapes; ++i) {
    Shape shape = random_shape(rng_);
    shape.N += shape.N % 2;
    GroupedGemm grouped;
    grouped.rows = {static_cast<int64_t>(rng_() % 20), 0,
                    1 + static_cast<int64_t>(rng_() % 40)};
    shape.M = grouped.rows[0] + grouped.rows[2];
    grouped.each.N = shape.N;
    grouped.each.K = shape.K;
    grouped.each.scheme = Scheme::kW4A16;
    Memory memory;
    std::vector<uint16_t> x(static_cast<size_t>(shape.M * shape.K));
    for (uint16_t& bits : x) bits = f16_from_f32(normal(rng_));
    memory.tensors[number_of(Tensor::kInput)] = bytes_of_values(x);
    auto& codes = memory.tensors[number_of(Tensor::kWeight)];
    codes.resize(static_cast<size_t>(3 * shape.N * shape.K / 2));
    for (uint8_t& pair : codes) pair = static_cast<uint8_t>(rng_());
    memory.tensors[number_of(Tensor::kWideWeight)].resize(
        static_cast<size_t>(3 * shape.N * shape.K * 2));
    memory.weight = {shape.N, shape.K, 0, true, 0, {}};
    for (int64_t n = 0; n < 3 * shape.N; ++n) {
      memory.weight.scales.push_back(normal(rng_));
    }
    std::vector<std::vector<uint8_t>> results;
    for (const int64_t wide_n :
         {3 * shape.N, 2 * shape.N, shape.N, int64_t{16}, int64_t{48}}) {
      SimulateOptions options;
      options.tiling.wide_n = wide_n;
      auto& out = memory.tensors[number_of(Tensor::kOutput)];
      out.assign(static_cast<size_t>(shape.M * shape.N * 2), 0);
      execute(profile_, compile(profile_, grouped, options), memory);
      results.push_back(out);
      ASSERT_EQ(results.back(), results.front())
          << text_of(shape) << " slices of " << wide_n;
    }
  }
}

TEST_P(PathsAgree, OnGroupsOfProducts) {
  std::normal_distribution<float> normal;
  for (int i = 0; i < kNumShapes; ++i) {
    Shape shape = random_shape(rng_);
    GroupedGemm grouped;
    grouped.rows = {static_cast<int64_t>(rng_() % 20), 0,
                    1 + static_cast<int64_t>(rng_() % 40)};
    shape.M = grouped.rows[0] + grouped.rows[2];
    grouped.each.N = shape.N;
    grouped.each.K = shape.K;
    std::vector<uint16_t> x(static_cast<size_t>(shape.M * shape.K));
    std::vector<uint16_t> w(static_cast<size_t>(3 * shape.N * shape.K));
    for (uint16_t& bits : x) bits = f16_from_f32(normal(rng_));
    for (uint16_t& bits : w) bits = f16_from_f32(normal(rng_));
    Memory memory;
    memory.tensors[number_of(Tensor::kInput)] = bytes_of_values(x);
    memory.tensors[number_of(Tensor::kWeight)] = bytes_of_values(w);
    auto& out = memory.tensors[number_of(Tensor::kOutput)];
    out.resize(static_cast<size_t>(shape.M * shape.N * 2));
    execute(profile_, compile(profile_, grouped, {}), memory);
    std::vector<uint16_t> slow(static_cast<size_t>(shape.M * shape.N));
    std::memcpy(slow.data(), out.data(), out.size());

    std::vector<uint16_t> fast;
    int64_t row = 0;
    for (size_t part = 0; part < grouped.rows.size(); ++part) {
      Shape one = shape;
      one.M = grouped.rows[part];
      if (one.M == 0) continue;
      const auto first = static_cast<int64_t>(part) * shape.N * shape.K;
      const std::vector<uint16_t> own(w.begin() + first,
                                      w.begin() + first + shape.N * shape.K);
      const std::vector<tsr_plane> planes = {
          plane_of(TSR_PLANE_CODES, TSR_F16, shape, shape.K, own)};
      std::vector<uint16_t> y;
      LinearScratch scratch;
      linear(
          make_half_weight(desc_of(TSR_WEIGHT_F16, shape, planes), Half::kF16),
          call_of(one, {x.data() + row * shape.K, TSR_F16, shape.K}, y),
          scratch, {});
      fast.insert(fast.end(), y.begin(), y.end());
      row += one.M;
    }
    ASSERT_EQ(fast, slow) << text_of(shape);
  }
}

TEST_P(PathsAgree, OnSumsOfTensors) {
  std::normal_distribution<float> normal;
  for (int i = 0; i < kNumShapes; ++i) {
    VectorOp op;
    op.rows = 1 + static_cast<int64_t>(rng_() % 50);
    op.columns = 1 + static_cast<int64_t>(rng_() % 900);
    op.num_inputs = 2 + static_cast<int64_t>(rng_() % 2);
    const auto count = static_cast<size_t>(op.rows * op.columns);
    std::vector<uint16_t> first(count);
    std::vector<uint16_t> others(count *
                                 static_cast<size_t>(op.num_inputs - 1));
    for (uint16_t& bits : first) bits = f16_from_f32(normal(rng_));
    for (uint16_t& bits : others) bits = f16_from_f32(normal(rng_));
    Memory memory;
    memory.tensors[number_of(Tensor::kInput)] = bytes_of_values(first);
    memory.tensors[number_of(Tensor::kOther)] = bytes_of_values(others);
    auto& out = memory.tensors[number_of(Tensor::kOutput)];
    out.resize(count * 2);
    execute(profile_, compile(profile_, op, {}), memory);
    std::vector<uint16_t> got(count);
    std::memcpy(got.data(), out.data(), out.size());
    for (size_t at = 0; at < count; ++at) {
      uint16_t sum = first[at];
      for (size_t more = at; more < others.size(); more += count) {
        sum = f16_from_f32(f32_from_f16(sum) + f32_from_f16(others[more]));
      }
      ASSERT_EQ(got[at], sum) << op.rows << 'x' << op.columns << " of "
                              << op.num_inputs << " seed 42";
    }
  }
}

// Copies leave nothing in GM; what matters is that all of a tile fits and none
// of it lies outside the source.
TEST_P(PathsAgree, OnCopiesToEitherMemory) {
  for (const bool to_l1 : {false, true}) {
    for (const bool nd_to_nz : {false, true}) {
      Copy copy;
      copy.rows = 37;
      copy.columns = 111;
      copy.tile_rows = 5;
      copy.tile_columns = 48;
      copy.target = to_l1 ? CopyTarget::kL1 : CopyTarget::kUb;
      copy.nd_to_nz = to_l1 && nd_to_nz;
      Memory memory;
      auto& source = memory.tensors[number_of(Tensor::kInput)];
      source.resize(static_cast<size_t>(copy.rows * copy.columns * 2));
      EXPECT_NO_THROW(execute(profile_, compile(profile_, copy, {}), memory));
      source.pop_back();
      EXPECT_THROW(execute(profile_, compile(profile_, copy, {}), memory),
                   sdk::Error);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, PathsAgree,
                         testing::Values("910b1", "310p", "310b1"));

}  // namespace
}  // namespace tessera::npu
