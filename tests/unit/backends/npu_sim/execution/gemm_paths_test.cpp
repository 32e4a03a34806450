// SPDX-License-Identifier: Apache-2.0
//
// Products by the fast path of function/ and by the instructions that the
// compiler emits: the same bits on random shapes, layouts, splits and
// epilogues; and, in `ref`, the oracle's.

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/execution/execute.hpp"
#include "backends/npu_sim/function/linear/linear.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "backends/npu_sim/simulation/packet_depth.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/format/small_float.hpp"
#include "tests/unit/backends/npu_sim/function/test_tensor.hpp"

namespace tessera::npu {
namespace {

constexpr int kNumShapes = 14;
constexpr float kActScale = 4.0f / 127.0f;  // as test_tensor.hpp

struct SchemeCase {
  const char* name;
  Scheme scheme;
  format::WeightScheme weight;
  uint32_t act_quant = TSR_ACT_FLOAT;
  Type out = Type::kF16;
};

std::vector<SchemeCase> scheme_cases(const Profile& profile) {
  std::vector<SchemeCase> cases = {
      {"w16a16", Scheme::kW16A16, {.format = TSR_WEIGHT_F16}},
      {"w8a16", Scheme::kW8A16, {.format = TSR_WEIGHT_I8}},
      {"w4a16", Scheme::kW4A16, {.format = TSR_WEIGHT_U4, .group_size = 32}},
      {"w8a8", Scheme::kW8A8, {.format = TSR_WEIGHT_I8}, TSR_ACT_I8_STATIC},
      {"w8a8_dynamic",
       Scheme::kW8A8Dynamic,
       {.format = TSR_WEIGHT_I8},
       TSR_ACT_I8_DYNAMIC},
      {"w4a8", Scheme::kW4A8, {.format = TSR_WEIGHT_I4}, TSR_ACT_I8_DYNAMIC},
      {"w4a8 of groups",
       Scheme::kW4A8,
       {.format = TSR_WEIGHT_I4, .group_size = 64},
       TSR_ACT_I8_DYNAMIC},
  };
  if (profile.cube.macs_s4 > 0) {
    cases.push_back(
        {"w4a4", Scheme::kW4A4, {.format = TSR_WEIGHT_I4}, TSR_ACT_I4_DYNAMIC});
  }
  if (profile.cube.macs_f8 > 0) {
    cases.push_back({"fp8",
                     Scheme::kFp8,
                     {.format = TSR_WEIGHT_F8E4M3},
                     TSR_ACT_F8_DYNAMIC});
  }
  if (profile.unzip.engines > 0) {
    cases.push_back({"w8a8sc",
                     Scheme::kW8A8Sc,
                     {.format = TSR_WEIGHT_SPARSE_FIXED},
                     TSR_ACT_I8_STATIC});
  }
  if (profile.cube.bf16) {
    cases.push_back({"bf16",
                     Scheme::kBf16,
                     {.format = TSR_WEIGHT_BF16},
                     TSR_ACT_FLOAT,
                     Type::kBf16});
    cases.push_back({"w8a8 to bf16",
                     Scheme::kW8A8,
                     {.format = TSR_WEIGHT_I8},
                     TSR_ACT_I8_STATIC,
                     Type::kBf16});
  }
  return cases;
}

std::vector<uint8_t>& tensor(Memory& memory, Tensor name) {
  return memory.tensors[static_cast<uint64_t>(name)];
}

// Element `index` of packed bytes of so many bits.
void put(std::vector<uint8_t>& bytes, int64_t bits, int64_t index,
         uint32_t value) {
  const auto at = static_cast<size_t>(index * bits / 8);
  if (bits == 4) {
    const uint32_t nibble = (value & 0x0F) << (index % 2 == 0 ? 0 : 4);
    bytes[at] = static_cast<uint8_t>(bytes[at] | nibble);
    return;
  }
  std::memcpy(&bytes[at], &value, static_cast<size_t>(bits / 8));
}

// One product in both forms.
class BothPaths {
 public:
  BothPaths(const Profile& profile, const SchemeCase& test, std::mt19937& rng)
      : profile_(profile), test_(test), rng_(rng) {
    choose_problem();
    planes_ = test.scheme == Scheme::kW8A8Sc
                  ? random_sparse_planes(shape_, rng)
                  : random_planes(test.weight, shape_, rng);
    if (test.act_quant == TSR_ACT_I8_STATIC) add_static_activation(planes_, 0);
    oracle_.emplace(std::move(*reference::Weight::open(planes_)));
    dtype_ = test.out == Type::kBf16 ? TSR_BF16 : TSR_F16;
    x_dtype_ = test.scheme == Scheme::kBf16 ? TSR_BF16 : TSR_F16;
    x_.emplace(x_dtype_, shape_.M, shape_.K, rng);
    other_.emplace(dtype_, shape_.M, shape_.N, rng);
    residual_.emplace(dtype_, shape_.M, shape_.N, rng);
    std::normal_distribution<float> normal;
    for (int64_t n = 0; n < shape_.N; ++n) bias_.push_back(normal(rng));
  }

  std::string text() const {
    return std::string(test_.name) + " on " + profile_.name + " " +
           std::to_string(shape_.M) + "x" + std::to_string(shape_.N) + "x" +
           std::to_string(shape_.K) +
           (gemm_.layout == WeightLayout::kNz ? " nz" : " nd") +
           (gemm_.weight_is_nk ? "" : " kn") +
           (gemm_.transpose_a ? " transposed" : "") + " split " +
           std::to_string(options_.tiling.split_k) + " slices of " +
           std::to_string(options_.tiling.wide_n) + " epilogue " +
           std::to_string(gemm_.epilogue.bias) +
           std::to_string(gemm_.epilogue.activation) +
           std::to_string(gemm_.epilogue.multiply) +
           std::to_string(gemm_.epilogue.residual) + " seed 42";
  }
  const Shape& shape() const { return shape_; }
  bool is_plain() const {
    const Epilogue& epilogue = gemm_.epilogue;
    return !epilogue.bias && !epilogue.activation && !epilogue.multiply &&
           !epilogue.residual;
  }
  bool is_float() const {
    return test_.act_quant == TSR_ACT_FLOAT ||
           test_.act_quant == TSR_ACT_F8_DYNAMIC;
  }

  std::vector<uint16_t> instructions(Numerics numerics);
  std::vector<uint16_t> fast(Numerics numerics);
  // The sums and scales alone; a float one comes with its bound.
  void oracle(std::vector<double>& out_values, std::vector<double>& out_bound);
  uint32_t dtype() const { return dtype_; }

 private:
  void choose_problem();
  int64_t place(int64_t n, int64_t k) const;
  void lay_out_tiles(Memory& memory) const;
  std::vector<uint32_t> stored_row(uint32_t n) const;
  void lay_out_weight(Memory& memory) const;
  void lay_out_input(Memory& memory) const;
  void lay_out_rest(Memory& memory, const GemmPlan& plan) const;
  void give_scales(Memory& memory) const;
  bool widens() const {
    return test_.scheme == Scheme::kW8A16 || test_.scheme == Scheme::kW4A16;
  }

  const Profile& profile_;
  SchemeCase test_;
  std::mt19937& rng_;
  Shape shape_{};
  Gemm gemm_;
  SimulateOptions options_;
  format::WeightData planes_;
  std::optional<reference::Weight> oracle_;
  uint32_t x_dtype_ = TSR_F16;
  uint32_t dtype_ = TSR_F16;  // of the result and what is added to it
  std::optional<TestTensor> x_;
  std::optional<TestTensor> other_;
  std::optional<TestTensor> residual_;
  std::vector<float> bias_;
  Type cube_ = Type::kF16;
  Type stored_ = Type::kF16;
  int64_t k_share_ = 0;
};

void BothPaths::choose_problem() {
  const auto one_in = [&](uint32_t count) { return rng_() % count == 0; };
  shape_ = {1 + static_cast<int64_t>(rng_() % 40),
            1 + static_cast<int64_t>(rng_() % 300),
            1 + static_cast<int64_t>(rng_() % 500)};
  if (one_in(4)) shape_.K += 1024;
  gemm_.scheme = test_.scheme;
  gemm_.group_size = test_.weight.group_size;
  const GemmKind kind = kind_of(profile_, [&] {
    Gemm gemm = gemm_;
    gemm.M = gemm.N = gemm.K = 1;
    return gemm;
  }());
  cube_ = kind.cube;
  stored_ = kind.stored_weight;
  // Pairs of 4-bit codes begin at bytes.
  if (bits_of(stored_) == 4 || bits_of(cube_) == 4) {
    shape_.K += shape_.K % 2;
    shape_.N += shape_.N % 2;
  }
  gemm_.M = shape_.M;
  gemm_.N = shape_.N;
  gemm_.K = shape_.K;
  gemm_.out = test_.out;
  gemm_.layout = one_in(2) ? WeightLayout::kNz : WeightLayout::kNd;
  gemm_.weight_is_nk = kind.unzips || !one_in(3);
  gemm_.compression = kind.unzips ? 0.6 : 1;
  gemm_.transpose_a = !kind.per_token && one_in(3);
  // Few cores have several tiles each.
  if (profile_.cube_cores > 1 && !one_in(3)) {
    gemm_.cores = 1 + static_cast<int64_t>(rng_() % 3);
  }
  gemm_.epilogue = {one_in(3), one_in(3), one_in(3), one_in(3)};
  options_.tiling.split_k = !has_group_sums(gemm_) && one_in(3)
                                ? 2 + static_cast<int64_t>(rng_() % 3)
                                : 1;
  const bool has_slices =
      gemm_.layout == WeightLayout::kNz || gemm_.weight_is_nk;
  if (kind.widens_weight && has_slices && !one_in(3)) {
    options_.tiling.wide_n =
        fractal_k(cube_) * (1 + static_cast<int64_t>(rng_() % 4));
  }
}

int64_t BothPaths::place(int64_t n, int64_t k) const {
  if (gemm_.layout == WeightLayout::kNz) {
    const int64_t block = fractal_k(cube_);
    return n / block * shape_.K * block + k * block + n % block;
  }
  return gemm_.weight_is_nk ? n * shape_.K + k : k * shape_.N + n;
}

// The tiles as the framework's encoder makes them; the oracle expands them with
// a decoder of its own.
void BothPaths::lay_out_tiles(Memory& memory) const {
  const auto view = planes_.view();
  const tsr_weight_desc& desc = view.desc();
  for (uint32_t i = 0; i < desc.planes.count; ++i) {
    const auto& plane = static_cast<const tsr_plane*>(desc.planes.data)[i];
    const size_t bytes = plane.rows * plane.row_bytes;
    const auto* data = static_cast<const uint8_t*>(plane.data);
    if (plane.role == TSR_PLANE_CODES) {
      memory.sparse_codes.assign(data, data + bytes);
    } else if (plane.role == TSR_PLANE_INDEX) {
      memory.sparse_index.resize(bytes / sizeof(int64_t));
      std::memcpy(memory.sparse_index.data(), data, bytes);
    }
  }
  memory.sparse_rows = shape_.N;
  memory.sparse_columns = shape_.K;
}

// What the cube or the widening vector core reads of a row.
std::vector<uint32_t> BothPaths::stored_row(uint32_t n) const {
  const auto count = static_cast<size_t>(shape_.K);
  std::vector<uint32_t> bits(count);
  std::vector<double> floats(count);
  if (stored_ == Type::kF8) {
    oracle_->decode_row(n, floats);
    for (size_t k = 0; k < count; ++k) {
      bits[k] = format::f32_to_f8e4m3(
          static_cast<float>(floats[k] / oracle_->scale(n, 0)));
    }
  } else if (bits_of(stored_) == 16) {
    oracle_->decode_row(n, floats);
    const Half half = stored_ == Type::kF16 ? Half::kF16 : Half::kBf16;
    for (size_t k = 0; k < count; ++k) {
      bits[k] = half_from_f32(half, static_cast<float>(floats[k]));
    }
  } else {
    std::vector<int32_t> codes(count);
    oracle_->integer_row(n, codes);
    for (size_t k = 0; k < count; ++k) {
      bits[k] = static_cast<uint32_t>(codes[k]);
    }
  }
  return bits;
}

void BothPaths::lay_out_weight(Memory& memory) const {
  if (test_.scheme == Scheme::kW8A8Sc) return lay_out_tiles(memory);
  std::vector<uint8_t>& bytes = tensor(memory, Tensor::kWeight);
  const int64_t bits = bits_of(stored_);
  const bool is_nz = gemm_.layout == WeightLayout::kNz;
  const int64_t columns =
      is_nz ? round_up(shape_.N, fractal_k(cube_)) : shape_.N;
  bytes.assign(static_cast<size_t>((columns * shape_.K * bits + 7) / 8), 0);
  for (int64_t n = 0; n < shape_.N; ++n) {
    const std::vector<uint32_t> row = stored_row(static_cast<uint32_t>(n));
    for (int64_t k = 0; k < shape_.K; ++k) {
      const uint32_t value = row[static_cast<size_t>(k)];
      put(bytes, bits, place(n, k), bits == 8 ? value & 0xFF : value);
    }
  }
  tensor(memory, Tensor::kWideWeight)
      .resize(static_cast<size_t>(columns * shape_.K * 2));
}

void BothPaths::lay_out_input(Memory& memory) const {
  std::vector<uint8_t>& bytes = tensor(memory, Tensor::kInput);
  bytes.resize(static_cast<size_t>(shape_.M * shape_.K * 2));
  for (int64_t m = 0; m < shape_.M; ++m) {
    for (int64_t k = 0; k < shape_.K; ++k) {
      put(bytes, 16, gemm_.transpose_a ? k * shape_.M + m : m * shape_.K + k,
          half_from_f32(x_dtype_ == TSR_F16 ? Half::kF16 : Half::kBf16,
                        x_->at(m, k)));
    }
  }
  tensor(memory, Tensor::kCodes)
      .resize(static_cast<size_t>(shape_.M * shape_.K));
  tensor(memory, Tensor::kScales).resize(static_cast<size_t>(shape_.M * 4));
}

void BothPaths::lay_out_rest(Memory& memory, const GemmPlan& plan) const {
  const auto elements = static_cast<size_t>(shape_.M * shape_.N);
  tensor(memory, Tensor::kOutput).resize(elements * 2);
  tensor(memory, Tensor::kPartials)
      .resize(elements * 4 * static_cast<size_t>(num_splits(plan)));
  tensor(memory, Tensor::kAccumulators)
      .resize(static_cast<size_t>(2 * plan.cores *
                                  layout_of(profile_, plan).accumulator_bytes));
  std::vector<uint8_t>& others = tensor(memory, Tensor::kOther);
  others.resize(elements * 4);
  int64_t first = 0;
  for (const auto& [used, from] : {std::pair{gemm_.epilogue.multiply, &*other_},
                                   {gemm_.epilogue.residual, &*residual_}}) {
    if (!used) continue;
    for (int64_t i = 0; i < shape_.M * shape_.N; ++i) {
      put(others, 16, first + i,
          half_from_f32(dtype_ == TSR_F16 ? Half::kF16 : Half::kBf16,
                        from->at(i / shape_.N, i % shape_.N)));
    }
    first += shape_.M * shape_.N;
  }
  if (gemm_.epilogue.bias) memory.bias = bias_;
  if (gemm_.epilogue.activation) memory.activation = TSR_EPILOGUE_SILU;
  memory.multiplies = gemm_.epilogue.multiply;
  memory.adds_residual = gemm_.epilogue.residual;
}

void BothPaths::give_scales(Memory& memory) const {
  const bool is_static = test_.act_quant == TSR_ACT_I8_STATIC;
  memory.inverse_scale = 1.0f / kActScale;
  memory.has_row_scales = !is_static;
  memory.vector_cuts_scales =
      is_static && profile_.exit.fixpipe && gemm_.out == Type::kF16;
  StoredWeight& weight = memory.weight;
  weight.N = shape_.N;
  weight.K = shape_.K;
  weight.block = gemm_.layout == WeightLayout::kNz ? fractal_k(cube_) : 0;
  weight.is_nk = gemm_.weight_is_nk;
  weight.group_size =
      test_.weight.group_size > 0 ? int64_t{test_.weight.group_size} : shape_.K;
  if (bits_of(stored_) == 16) return;
  // Only their way to UB counts; values come from `weight`.
  const int64_t elements = shape_.K * round_up(shape_.N, fractal_k(cube_));
  tensor(memory, Tensor::kGroupScales)
      .resize(
          static_cast<size_t>(4 * (ceil_div(elements, weight.group_size) + 1)));
  for (int64_t n = 0; n < shape_.N; ++n) {
    const auto row = static_cast<uint32_t>(n);
    // Sums of groups have taken their scales.
    const float scale = has_group_sums(gemm_) ? 1 : oracle_->scale(row, 0);
    memory.scales.push_back(is_static ? kActScale * scale : scale);
    FixpipeScale word;
    word.positive = word.negative = memory.scales.back();
    memory.fixpipe_words.push_back(make_fixpipe_word(word));
    for (int64_t k = 0; k < shape_.K; k += weight.group_size) {
      weight.scales.push_back(oracle_->scale(row, static_cast<uint32_t>(k)));
    }
  }
}

std::vector<uint16_t> BothPaths::instructions(Numerics numerics) {
  const GemmPlan plan = fastest_depth(profile_, gemm_, {gemm_.M}, options_);
  k_share_ = split_share(shape_.K, plan.tiling);
  Memory memory;
  memory.numerics = numerics;
  lay_out_weight(memory);
  lay_out_input(memory);
  lay_out_rest(memory, plan);
  give_scales(memory);
  execute(profile_, compile(profile_, gemm_, options_), memory);
  std::vector<uint16_t> bits(static_cast<size_t>(shape_.M * shape_.N));
  std::memcpy(bits.data(), tensor(memory, Tensor::kOutput).data(),
              bits.size() * 2);
  return bits;
}

std::vector<uint16_t> BothPaths::fast(Numerics numerics) {
  const auto view = planes_.view();
  std::vector<uint16_t> bits(static_cast<size_t>(shape_.M * shape_.N));
  Linear op;
  op.M = shape_.M;
  op.x = x_->input();
  op.y = {bits.data(), dtype_, shape_.N};
  op.n_end = shape_.N;
  op.act_quant = test_.act_quant;
  op.k_share = k_share_;
  if (gemm_.epilogue.bias) op.bias = bias_.data();
  if (gemm_.epilogue.activation) op.activation = TSR_EPILOGUE_SILU;
  if (gemm_.epilogue.multiply) op.multiplier = other_->input();
  if (gemm_.epilogue.residual) op.residual = residual_->input();
  LinearScratch scratch;
  if (is_float()) {
    linear(make_half_weight(view.desc(),
                            x_dtype_ == TSR_F16 ? Half::kF16 : Half::kBf16),
           op, scratch, {});
  } else {
    linear(make_integer_weight(view.desc()), op,
           {profile_.exit.fixpipe, numerics}, scratch, {});
  }
  return bits;
}

void BothPaths::oracle(std::vector<double>& out_values,
                       std::vector<double>& out_bound) {
  const std::vector<float> values = x_->values();
  reference::Linear p;
  p.weight = &*oracle_;
  p.M = static_cast<uint32_t>(shape_.M);
  p.x = values.data();
  p.n_end = static_cast<uint32_t>(shape_.N);
  p.act_quant = test_.act_quant;
  const auto count = static_cast<size_t>(shape_.M * shape_.N);
  out_bound.assign(count, 0);
  out_values.resize(count);
  if (is_float()) {
    ASSERT_TRUE(reference::linear(p, out_values.data()).ok());
    ASSERT_TRUE(reference::linear_bound(
                    p,
                    {test_.act_quant == TSR_ACT_FLOAT ? TSR_ERROR_HALF_PRODUCTS
                                                      : TSR_ERROR_DOT,
                     dtype_, dtype_},
                    out_bound.data())
                    .ok());
    return;
  }
  std::vector<float> exact(count);
  ASSERT_TRUE(reference::linear(p, exact.data()).ok());
  for (size_t i = 0; i < count; ++i) {
    out_values[i] = rounded_to(dtype_, exact[i]);
  }
}

class GemmPaths : public testing::TestWithParam<const char*> {};

TEST_P(GemmPaths, AgreeBitForBitAndWithTheOracle) {
  const Profile profile = load_profile(GetParam());
  std::mt19937 rng(42);
  for (const SchemeCase& test : scheme_cases(profile)) {
    for (int i = 0; i < kNumShapes; ++i) {
      BothPaths both(profile, test, rng);
      for (const Numerics numerics : {Numerics::kHw, Numerics::kRef}) {
        const std::vector<uint16_t> slow = both.instructions(numerics);
        const std::vector<uint16_t> fast = both.fast(numerics);
        ASSERT_EQ(fast, slow)
            << both.text() << " numerics " << static_cast<int>(numerics);
        if (!both.is_plain() || numerics != Numerics::kRef) continue;
        std::vector<double> expected;
        std::vector<double> bound;
        both.oracle(expected, bound);
        if (HasFatalFailure()) return;
        const Half half = both.dtype() == TSR_F16 ? Half::kF16 : Half::kBf16;
        for (size_t at = 0; at < slow.size(); ++at) {
          ASSERT_LE(std::abs(f32_from(half, slow[at]) - expected[at]),
                    bound[at])
              << both.text() << " element " << at;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, GemmPaths,
                         testing::Values("910b1", "310p", "310b1", "950"));

}  // namespace
}  // namespace tessera::npu
