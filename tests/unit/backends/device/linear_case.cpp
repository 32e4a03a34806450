// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/linear_case.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "framework/conformance/reference/bounds.hpp"
#include "framework/format/element.hpp"
#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/tensor/half.hpp"
#include "tests/unit/backends/device/device_under_test.hpp"

namespace tessera::device_test {
namespace {

format::WeightScheme scheme_of(uint32_t format, uint32_t group = 0,
                               bool symmetric = true) {
  format::WeightScheme scheme;
  scheme.format = format;
  scheme.group_size = group;
  scheme.symmetric = symmetric;
  return scheme;
}

format::Plane vector_plane(uint32_t role, uint32_t dtype, uint32_t count) {
  format::Plane plane;
  plane.role = role;
  plane.dtype = dtype;
  plane.rows = 1;
  plane.cols = count;
  plane.owned.resize(size_t{count} * 4);
  return plane;
}

bool is_block_format(uint32_t format) {
  return format::find_gguf_block(format) != nullptr;
}

// GGUF blocks of random bytes whose scales are finite, so every code is met.
format::WeightData random_blocks(uint32_t format, uint32_t N, uint32_t K,
                                 std::mt19937& rng) {
  const format::GgufBlock& block = *format::find_gguf_block(format);
  const auto row_bytes = static_cast<uint32_t>(K / block.values * block.bytes);
  format::Plane codes;
  codes.role = TSR_PLANE_CODES;
  codes.dtype = TSR_U8;
  codes.rows = N;
  codes.cols = row_bytes;
  codes.block_n = 1;
  codes.owned.resize(size_t{N} * row_bytes);
  for (std::byte& byte : codes.owned) {
    byte = static_cast<std::byte>(rng() % 256);
  }
  // Offsets of d and of dmin or m; -1 where there is none.
  std::pair<int, int> halves(0, -1);
  if (format == TSR_WEIGHT_Q2_K) halves = {80, 82};
  if (format == TSR_WEIGHT_Q3_K) halves = {108, -1};
  if (format == TSR_WEIGHT_Q6_K) halves = {208, -1};
  if (format == TSR_WEIGHT_Q4_K || format == TSR_WEIGHT_Q5_K ||
      format == TSR_WEIGHT_Q4_1 || format == TSR_WEIGHT_Q5_1) {
    halves = {0, 2};
  }
  std::uniform_real_distribution<float> scale(-0.01f, 0.01f);
  for (size_t at = 0; at < codes.owned.size(); at += block.bytes) {
    for (const int offset : {halves.first, halves.second}) {
      if (offset < 0) continue;
      const uint16_t half = f32_to_f16(scale(rng));
      std::memcpy(&codes.owned[at + static_cast<size_t>(offset)], &half, 2);
    }
  }
  format::WeightData weight{format, N, K, {}};
  weight.planes.push_back(std::move(codes));
  return weight;
}

// Codes on 15 levels, but one of 64: what the compressed form is made for.
std::vector<int8_t> sparse_codes(uint32_t N, uint32_t K, std::mt19937& rng) {
  std::vector<int8_t> codes(size_t{N} * K);
  for (int8_t& code : codes) {
    const auto bits = static_cast<uint32_t>(rng());
    const auto level = static_cast<int32_t>(bits % 15) - 7;
    const auto any = static_cast<int8_t>(bits >> 8 & 0xff);
    code = bits >> 26 == 0 ? any : static_cast<int8_t>(level * 9);
  }
  return codes;
}

format::WeightData random_sparse(format::WeightScheme scheme, uint32_t N,
                                 uint32_t K, std::mt19937& rng) {
  scheme.format = TSR_WEIGHT_I8;
  const auto dense = random_weight({"", scheme}, N, K, rng);
  return compressed(sparse_codes(N, K, rng), dense);
}

}  // namespace

format::WeightData compressed(std::span<const int8_t> codes,
                              const format::WeightData& dense) {
  auto tiles = format::encode_sparse_fixed(dense.N, dense.K, codes);
  if (!tiles.ok()) throw std::runtime_error(tiles.status().message());
  auto weight = format::sparse_fixed_weight(std::move(*tiles),
                                            *dense.find(TSR_PLANE_SCALE));
  if (!weight.ok()) throw std::runtime_error(weight.status().message());
  return std::move(*weight);
}

std::vector<WeightKind> weight_kinds() {
  std::vector<WeightKind> kinds = {
      {"f32", scheme_of(TSR_WEIGHT_F32)},
      {"f16", scheme_of(TSR_WEIGHT_F16)},
      {"bf16", scheme_of(TSR_WEIGHT_BF16)},
      {"i8_channel", scheme_of(TSR_WEIGHT_I8)},
      {"i8_g32", scheme_of(TSR_WEIGHT_I8, 32)},
      {"i8_g7", scheme_of(TSR_WEIGHT_I8, 7)},
      {"i8_g300", scheme_of(TSR_WEIGHT_I8, 300)},
      {"i8_g64_asym", scheme_of(TSR_WEIGHT_I8, 64, false)},
      {"u8_channel", scheme_of(TSR_WEIGHT_U8)},
      {"u8_channel_asym", scheme_of(TSR_WEIGHT_U8, 0, false)},
      {"i4_g32", scheme_of(TSR_WEIGHT_I4, 32)},
      {"u4_channel", scheme_of(TSR_WEIGHT_U4)},
      {"u4_g32", scheme_of(TSR_WEIGHT_U4, 32)},
      {"u4_g7", scheme_of(TSR_WEIGHT_U4, 7)},
      {"u4_g64_asym", scheme_of(TSR_WEIGHT_U4, 64, false)},
      {"u4_g128", scheme_of(TSR_WEIGHT_U4, 128)},
      {"f8e4m3", scheme_of(TSR_WEIGHT_F8E4M3)},
      {"f8e5m2", scheme_of(TSR_WEIGHT_F8E5M2)},
      {"f4e2m1_g32", scheme_of(TSR_WEIGHT_F4E2M1, 32)},
      {"mxfp4", scheme_of(TSR_WEIGHT_MXFP4)},
      {"nvfp4", scheme_of(TSR_WEIGHT_NVFP4)},
      {"sparse", scheme_of(TSR_WEIGHT_SPARSE_FIXED)},
      {"sparse_g128", scheme_of(TSR_WEIGHT_SPARSE_FIXED, 128)},
      {"sparse_g32", scheme_of(TSR_WEIGHT_SPARSE_FIXED, 32)},
      {"q4_0", scheme_of(TSR_WEIGHT_Q4_0), 32},
      {"q4_1", scheme_of(TSR_WEIGHT_Q4_1), 32},
      {"q5_0", scheme_of(TSR_WEIGHT_Q5_0), 32},
      {"q5_1", scheme_of(TSR_WEIGHT_Q5_1), 32},
      {"q8_0", scheme_of(TSR_WEIGHT_Q8_0), 32},
      {"iq4_nl", scheme_of(TSR_WEIGHT_IQ4_NL), 32},
      {"q2_k", scheme_of(TSR_WEIGHT_Q2_K), 256},
      {"q3_k", scheme_of(TSR_WEIGHT_Q3_K), 256},
      {"q4_k", scheme_of(TSR_WEIGHT_Q4_K), 256},
      {"q5_k", scheme_of(TSR_WEIGHT_Q5_K), 256},
      {"q6_k", scheme_of(TSR_WEIGHT_Q6_K), 256},
  };
  WeightKind per_tensor{"i8_tensor", scheme_of(TSR_WEIGHT_I8)};
  per_tensor.scheme.per_tensor = true;
  kinds.push_back(per_tensor);
  WeightKind two_level{"i4_g32_two_level", scheme_of(TSR_WEIGHT_I4, 32)};
  two_level.scheme.two_level = true;
  kinds.push_back(two_level);
  WeightKind half_scales{"u4_g32_f16", scheme_of(TSR_WEIGHT_U4, 32)};
  half_scales.scheme.scale_dtype = TSR_F16;
  kinds.push_back(half_scales);
  return kinds;
}

WeightKind weight_kind(const std::string& name) {
  for (const WeightKind& kind : weight_kinds()) {
    if (kind.name == name) return kind;
  }
  throw std::runtime_error("no weight kind " + name);
}

bool has_integer_codes(const WeightKind& kind) {
  const uint32_t format = kind.scheme.format;
  return format == TSR_WEIGHT_I8 || format == TSR_WEIGHT_U8 ||
         format == TSR_WEIGHT_I4 || format == TSR_WEIGHT_U4 ||
         format == TSR_WEIGHT_SPARSE_FIXED;
}

format::WeightData random_weight(const WeightKind& kind, uint32_t N, uint32_t K,
                                 std::mt19937& rng) {
  if (is_block_format(kind.scheme.format)) {
    return random_blocks(kind.scheme.format, N, K, rng);
  }
  if (kind.scheme.format == TSR_WEIGHT_SPARSE_FIXED) {
    return random_sparse(kind.scheme, N, K, rng);
  }
  std::normal_distribution<float> normal;
  std::vector<float> values(size_t{N} * K);
  for (float& value : values) value = 0.1f * normal(rng);
  auto weight = format::encode_weight(kind.scheme, N, K, values);
  if (!weight.ok()) throw std::runtime_error(weight.status().message());
  return std::move(*weight);
}

void add_static_activation(format::WeightData& planes, int32_t zero_point) {
  format::Plane scale = vector_plane(TSR_PLANE_ACT_SCALE, TSR_F32, 1);
  format::Plane inv = vector_plane(TSR_PLANE_ACT_INV, TSR_F32, 1);
  format::Plane zero = vector_plane(TSR_PLANE_ACT_ZERO_POINT, TSR_I32, 1);
  format::store_element(scale.owned.data(), 0, 0.03125f);
  format::store_element(inv.owned.data(), 0, 32.0f);
  format::store_element(zero.owned.data(), 0, zero_point);
  for (format::Plane* plane : {&scale, &inv, &zero}) {
    planes.planes.push_back(std::move(*plane));
  }
}

void add_small_planes(format::WeightData& planes, bool is_integer,
                      std::mt19937& rng) {
  format::Plane permutation =
      vector_plane(TSR_PLANE_PERMUTATION, TSR_I32, planes.K);
  std::vector<int32_t> order(planes.K);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), rng);
  format::Plane multiplier =
      vector_plane(TSR_PLANE_INPUT_MULTIPLIER, TSR_F32, planes.K);
  std::uniform_real_distribution<float> factor(0.5f, 2.0f);
  for (uint32_t k = 0; k < planes.K; ++k) {
    format::store_element(permutation.owned.data(), k, order[k]);
    format::store_element(multiplier.owned.data(), k, factor(rng));
  }
  planes.planes.push_back(std::move(permutation));
  planes.planes.push_back(std::move(multiplier));
  if (!is_integer) return;
  format::Plane bias = vector_plane(TSR_PLANE_QUANT_BIAS, TSR_I32, planes.N);
  std::uniform_int_distribution<int32_t> any(-100000, 100000);
  for (uint32_t n = 0; n < planes.N; ++n) {
    format::store_element(bias.owned.data(), n, any(rng));
  }
  planes.planes.push_back(std::move(bias));
}

namespace {

// The tensors of one case.
class CaseRun {
 public:
  CaseRun(std::shared_ptr<Device> device, const format::WeightData& planes,
          const LinearCase& c)
      : device_(std::move(device)),
        planes_(planes),
        case_(c),
        num_columns_((c.n_end == 0 ? planes.N : c.n_end) - c.n_begin),
        x_(*device_, c.x_dtype, c.M, planes.K, rng_),
        y_(*device_, c.y_dtype, c.M, num_columns_, 5),
        bias_(*device_, TSR_F32, 1, planes.N, rng_, 0),
        multiplier_(*device_, TSR_F16, c.M, num_columns_, rng_),
        residual_(*device_, TSR_BF16, c.M, num_columns_, rng_) {
    if (!c.accumulate) return;
    for (uint32_t m = 0; m < c.M; ++m) {
      for (uint32_t n = 0; n < num_columns_; ++n) set_old(m, n);
    }
  }

  void run() {
    const format::WeightView view = planes_.view();
    const auto loaded = device_->load_weight(view.desc());
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    OpRunner op(device_);
    tsr_op_linear linear{};
    linear.op.kind = TSR_OP_LINEAR;
    linear.weight = op.program().add_weight(loaded->id());
    linear.x = op.add(x_);
    linear.y = op.add(y_);
    linear.bias = case_.bias ? op.add(bias_, TSR_DIM_FIXED) : TSR_NONE;
    linear.multiplier = case_.multiplier ? op.add(multiplier_) : TSR_NONE;
    linear.residual = case_.residual ? op.add(residual_) : TSR_NONE;
    linear.activation = case_.activation;
    linear.act_quant = case_.act_quant;
    linear.n_begin = case_.n_begin;
    linear.n_end = case_.n_end;
    linear.flags =
        (case_.accumulate ? uint32_t{TSR_LINEAR_ACCUMULATE} : 0U) |
        (case_.y_dtype == TSR_I32 ? uint32_t{TSR_LINEAR_PARTIAL} : 0U);
    op.program().add_op(linear);
    op.step().num_decode_tokens = case_.num_decode_tokens;
    const Status status = op.run(case_.M);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(y_.gaps_untouched());
    compare();
  }

 private:
  bool is_integer() const {
    return case_.act_quant != TSR_ACT_FLOAT &&
           case_.act_quant <= TSR_ACT_I4_DYNAMIC;
  }

  void set_old(uint32_t m, uint32_t n) {
    if (case_.y_dtype == TSR_I32) {
      old_.push_back(static_cast<float>(rng_() % 1000));
      y_.set_integer(m, n, static_cast<int32_t>(old_.back()));
    } else {
      y_.set(m, n, static_cast<float>(rng_() % 1000) * 0.125f);
      old_.push_back(y_.at(m, n));
    }
  }

  reference::Linear describe(const reference::Weight& weight) {
    reference::Linear p;
    p.weight = &weight;
    p.M = case_.M;
    x_values_ = x_.values();
    bias_values_ = bias_.values();
    multiplier_values_ = multiplier_.values();
    residual_values_ = case_.accumulate ? old_ : residual_.values();
    p.x = x_values_.data();
    p.n_begin = case_.n_begin;
    p.n_end = case_.n_end;
    p.act_quant = case_.act_quant;
    p.num_decode_tokens = case_.num_decode_tokens;
    p.epilogue.activation = case_.activation;
    if (case_.bias) p.epilogue.bias = bias_values_.data();
    if (case_.multiplier) p.epilogue.multiplier = multiplier_values_.data();
    if (case_.residual || case_.accumulate) {
      p.epilogue.residual = residual_values_.data();
    }
    return p;
  }

  void compare() {
    auto weight = reference::Weight::open(planes_);
    ASSERT_TRUE(weight.ok()) << weight.status().message();
    reference::Linear p = describe(*weight);
    if (case_.y_dtype == TSR_I32) return compare_sums(p);
    const size_t count = size_t{case_.M} * num_columns_;
    if (is_integer()) {
      std::vector<float> wanted(count);
      const Status status = reference::linear(p, wanted.data());
      ASSERT_TRUE(status.ok()) << status.message();
      return compare_exactly(wanted);
    }
    std::vector<double> wanted(count);
    std::vector<double> bound(count);
    ASSERT_TRUE(reference::linear(p, wanted.data()).ok());
    ASSERT_TRUE(reference::linear_bound(
                    p, {TSR_ERROR_DOT, case_.y_dtype, TSR_BF16}, bound.data())
                    .ok());
    for (size_t i = 0; i < count; ++i) {
      const auto m = static_cast<uint32_t>(i / num_columns_);
      const auto n = static_cast<uint32_t>(i % num_columns_);
      ASSERT_NEAR(y_.at(m, n), wanted[i], bound[i]) << "m " << m << " n " << n;
    }
  }

  void compare_exactly(const std::vector<float>& wanted) {
    for (uint32_t m = 0; m < case_.M; ++m) {
      for (uint32_t n = 0; n < num_columns_; ++n) {
        const float value =
            rounded_to(case_.y_dtype, wanted[size_t{m} * num_columns_ + n]);
        if (std::isnan(value) && std::isnan(y_.at(m, n))) continue;
        ASSERT_EQ(y_.at(m, n), value) << "m " << m << " n " << n;
      }
    }
  }

  void compare_sums(reference::Linear& p) {
    p.epilogue = {};
    std::vector<int32_t> wanted(size_t{case_.M} * num_columns_);
    ASSERT_TRUE(reference::linear_accumulators(p, wanted.data()).ok());
    for (uint32_t m = 0; m < case_.M; ++m) {
      for (uint32_t n = 0; n < num_columns_; ++n) {
        const size_t i = size_t{m} * num_columns_ + n;
        const auto old = case_.accumulate ? static_cast<int32_t>(old_[i]) : 0;
        ASSERT_EQ(y_.integer(m, n), wanted[i] + old) << "m " << m << " n " << n;
      }
    }
  }

  std::mt19937 rng_{42};
  std::shared_ptr<Device> device_;
  const format::WeightData& planes_;
  LinearCase case_;
  uint32_t num_columns_;
  TestTensor x_;
  TestTensor y_;
  TestTensor bias_;
  TestTensor multiplier_;
  TestTensor residual_;
  std::vector<float> old_;
  std::vector<float> x_values_;
  std::vector<float> bias_values_;
  std::vector<float> multiplier_values_;
  std::vector<float> residual_values_;
};

}  // namespace

void expect_linear(const std::shared_ptr<Device>& device,
                   const format::WeightData& planes, const LinearCase& c) {
  SCOPED_TRACE("M " + std::to_string(c.M) + " N " + std::to_string(planes.N) +
               " K " + std::to_string(planes.K) + " act " +
               std::to_string(c.act_quant));
  CaseRun(device, planes, c).run();
}

void expect_all_shapes(const std::shared_ptr<Device>& device,
                       const WeightKind& kind) {
  std::mt19937 rng(42);
  for (const LinearShape& shape : device_under_test().linear_shapes) {
    const auto planes = random_weight(kind, shape.N, kind.depth(shape.K), rng);
    LinearCase c;
    c.M = shape.M;
    expect_linear(device, planes, c);
    if (!has_integer_codes(kind)) continue;
    c.act_quant = TSR_ACT_I8_DYNAMIC;
    expect_linear(device, planes, c);
  }
}

}  // namespace tessera::device_test
