// SPDX-License-Identifier: Apache-2.0
//
// The formulas of bounds.hpp.

#include "framework/conformance/reference/bounds.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <span>
#include <vector>

#include "framework/conformance/reference/attention/attention_walk.hpp"
#include "framework/conformance/reference/attention/softmax.hpp"

namespace tessera::reference {
namespace {

// The steepest of silu' (1.0999) and gelu' (1.1289).
constexpr double kMaxSlope = 1.13;
// exp(-88) * 88: what silu and gelu lose where exp is flushed to zero.
constexpr double kFlushed = 0x1p-118;
// exp of less is 0 in f32.
constexpr double kMaxDistance = 104.0;

// Relative change of a product whose two factors were rounded to 16 bits.
double half_products(const BoundClass& bound_class) {
  if (bound_class.error_class != TSR_ERROR_HALF_PRODUCTS) return 0.0;
  const double u = unit_roundoff(bound_class.half_dtype);
  return 2.0 * u + u * u;
}

// A value and how far a kernel's may be from it.
struct Approximate {
  double value;
  double error;

  double largest() const { return std::fabs(value) + error; }
  void round(uint32_t dtype) { error += ulp(largest(), dtype) / 2.0; }
};

double bound_after_epilogue(const Epilogue& epilogue, uint32_t n,
                            size_t y_index, Approximate y) {
  if (epilogue.bias != nullptr) {
    y.value += epilogue.bias[n];
    y.round(TSR_F32);
  }
  if (epilogue.activation != TSR_EPILOGUE_NONE) {
    Epilogue activation;
    activation.activation = epilogue.activation;
    y.value = apply_epilogue(activation, n, y_index, y.value);
    y.error = kMaxSlope * y.error + kFlushed;
    y.error += float_bound(y.largest(), TSR_F32);
  }
  if (epilogue.multiplier != nullptr) {
    const double multiplier = epilogue.multiplier[y_index];
    y.value *= multiplier;
    y.error *= std::fabs(multiplier);
    y.round(TSR_F32);
  }
  if (epilogue.residual != nullptr) {
    y.value += epilogue.residual[y_index];
    y.round(TSR_F32);
  }
  return y.error;
}

bool has_scales(const Weight& weight) {
  return weight.format() > TSR_WEIGHT_BF16;
}

// Largest error of one query's output, per unit of sum p |v|, and that sum.
struct RowBound {
  double relative;
  std::vector<double> magnitudes;  // [head_dim]
};

// K and V of one sequence and head, [seq_len, head_dim].
struct Cache {
  size_t head_dim;
  std::vector<double> keys;
  std::vector<double> values;
};

RowBound row_bound(const float* q, const Cache& cache, Visible seen,
                   double scale, const BoundClass& bound_class) {
  const size_t D = cache.head_dim;
  std::vector<double> scores;
  double score_error = 0.0;
  for (size_t j = seen.begin; j < seen.end; ++j) {
    double score = 0.0;
    double magnitude = 0.0;
    for (size_t i = 0; i < D; ++i) {
      score += q[i] * cache.keys[j * D + i];
      magnitude += std::fabs(q[i] * cache.keys[j * D + i]);
    }
    scores.push_back(scale * score);
    score_error =
        std::max(score_error, std::fabs(scale) * magnitude *
                                  (gamma(D + 2) + half_products(bound_class)));
  }
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  const double distance = std::min(*high - *low, kMaxDistance);
  softmax_row(scores.data(), scores.size());

  const double eta =
      std::expm1(score_error + unit_roundoff(TSR_F32) * distance) + gamma(8) +
      half_products(bound_class);
  RowBound bound;
  bound.relative =
      2.0 * eta / std::max(1.0 - eta, 0.5) + gamma(2 * scores.size() + 8);
  bound.magnitudes.assign(D, 0.0);
  for (size_t j = seen.begin; j < seen.end; ++j) {
    for (size_t i = 0; i < D; ++i) {
      bound.magnitudes[i] +=
          scores[j - seen.begin] * std::fabs(cache.values[j * D + i]);
    }
  }
  return bound;
}

}  // namespace

double unit_roundoff(uint32_t dtype) {
  switch (dtype) {
    case TSR_F16:
      return 0x1p-11;
    case TSR_BF16:
      return 0x1p-8;
    default:
      assert(dtype == TSR_F32);
      return 0x1p-24;
  }
}

double ulp(double value, uint32_t dtype) {
  const int min_exponent = dtype == TSR_F16 ? -14 : -126;
  const int exponent =
      value == 0.0 ? min_exponent : std::max(std::ilogb(value), min_exponent);
  return std::ldexp(2.0 * unit_roundoff(dtype), exponent);
}

double gamma(size_t n) {
  const double nu = static_cast<double>(n) * unit_roundoff(TSR_F32);
  assert(nu < 1.0);
  return nu / (1.0 - nu);
}

double float_bound(double value, uint32_t dtype, double magnitude) {
  return 8.0 * ulp(std::max(std::fabs(value), std::fabs(magnitude)), dtype);
}

Status linear_bound(const Linear& p, const BoundClass& bound_class,
                    double* out_bound) {
  TSR_RETURN_IF_ERROR(check_linear(p));
  const size_t count = size_t{p.M} * p.num_columns();
  std::vector<double> sums(count);
  std::vector<double> outputs(count);
  Linear raw = p;
  raw.epilogue = {};
  TSR_RETURN_IF_ERROR(linear(raw, sums.data()));
  TSR_RETURN_IF_ERROR(linear(p, outputs.data()));
  std::vector<double> magnitudes(count);
  double relative = 0.0;
  if (bound_class.error_class != TSR_ERROR_EXACT) {
    TSR_RETURN_IF_ERROR(linear_magnitudes(p, magnitudes.data()));
    relative = gamma(p.weight->K() + (has_scales(*p.weight) ? 2 : 0)) +
               half_products(bound_class);
  }
  for (size_t index = 0; index < count; ++index) {
    const auto n = p.n_begin + static_cast<uint32_t>(index % p.num_columns());
    Approximate y{outputs[index], 0.0};
    if (bound_class.error_class != TSR_ERROR_EXACT) {
      y.error = bound_after_epilogue(
          p.epilogue, n, index, {sums[index], relative * magnitudes[index]});
    }
    if (bound_class.error_class != TSR_ERROR_EXACT ||
        bound_class.out_dtype != TSR_F32) {
      y.round(bound_class.out_dtype);
    }
    out_bound[index] = y.error;
  }
  return {};
}

Status attention_bound(const Attention& p, const KvPool& pool,
                       const BoundClass& bound_class, double* out_bound) {
  TSR_RETURN_IF_ERROR(check_attention(p, pool));
  const size_t D = pool.desc().head_dim;
  const uint32_t heads_per_kv = p.num_q_heads / pool.desc().num_kv_heads;
  for_each_sequence(p, [&](uint32_t seq, uint32_t first, uint32_t q_len,
                           uint32_t seq_len) {
    for (uint32_t h = 0; h < p.num_q_heads; ++h) {
      const uint32_t kv_head = h / heads_per_kv;
      const Cache cache{D, read_cache(p, pool, KvPart::kKey, seq, kv_head),
                        read_cache(p, pool, KvPart::kValue, seq, kv_head)};
      for (uint32_t t = 0; t < q_len; ++t) {
        const size_t row = (size_t{first + t} * p.num_q_heads + h) * D;
        const Visible seen = visible_positions(p, seq_len - q_len + t, seq_len);
        const RowBound bound =
            row_bound(p.q + row, cache, seen, p.scale, bound_class);
        for (size_t i = 0; i < D; ++i) {
          Approximate y{bound.magnitudes[i],
                        bound.relative * bound.magnitudes[i]};
          y.round(bound_class.out_dtype);
          out_bound[row + i] = y.error;
        }
      }
    }
  });
  return {};
}

}  // namespace tessera::reference
