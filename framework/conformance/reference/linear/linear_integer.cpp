// SPDX-License-Identifier: Apache-2.0
//
// Integer linear, bit for bit as numerics.md section 1 writes it.  Compiled
// without FMA contraction: the one fma is spelled out.

#include "framework/conformance/reference/linear/linear_integer.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "framework/conformance/reference/linear/activation.hpp"
#include "framework/conformance/reference/linear/linear_tiles.hpp"
#include "framework/format/weight.hpp"

namespace tessera::reference {
namespace {

// The rules of decode tokens and of the others; equal but for I8_MIX.
struct ActivationRules {
  IntegerActivation decode;
  IntegerActivation prefill;

  const IntegerActivation& of(const Linear& p, uint32_t m) const {
    return m < p.num_decode_tokens ? decode : prefill;
  }
};

Result<ActivationRules> activation_rules(const Linear& p) {
  ActivationRules rules;
  TSR_ASSIGN_OR_RETURN(rules.decode,
                       integer_activation(p.act_quant, *p.weight, true));
  TSR_ASSIGN_OR_RETURN(rules.prefill,
                       integer_activation(p.act_quant, *p.weight, false));
  return rules;
}

// One scale per row of W is folded into one product with the token's; several
// per row, or a second level, take the group formula.
bool is_per_channel(const Weight& weight) {
  return weight.group_size() >= weight.K() && !weight.has_scale2();
}

Status check_integers(const Linear& p, const ActivationRules& rules) {
  const Weight& weight = *p.weight;
  if (!weight.has_integers()) {
    return Status(TSR_INVALID_ARGUMENT,
                  "weight " + format::weight_format_name(weight.format()) +
                      " has no integer codes");
  }
  const int64_t largest_x =
      std::max(rules.decode.max_integer(), rules.prefill.max_integer());
  const int64_t largest_sum =
      largest_x * weight.max_integer() * weight.group_size();
  if (largest_sum > INT32_MAX) {
    return Status(TSR_INVALID_ARGUMENT,
                  "K=" + std::to_string(weight.K()) +
                      " could overflow an i32 accumulator");
  }
  return {};
}

// Calls store(m, n, g, acc) for each integer sum; scales[m] is the token's.
template <typename Store>
void for_each_accumulator(const Linear& p, const ActivationRules& rules,
                          std::vector<float>& scales, const Store& store) {
  const Weight& weight = *p.weight;
  std::vector<float> x(weight.K());
  const auto load_input = [&](uint32_t m, std::span<int32_t> out_row) {
    arrange_input(weight, p.x + size_t{m} * weight.K(), x);
    scales[m] = quantize(rules.of(p, m), x, out_row);
  };
  const auto load_weight = [&](uint32_t n, std::span<int32_t> out_row) {
    weight.integer_row(n, out_row);
  };
  const LinearShape shape{p.M, p.n_begin, p.n_begin + p.num_columns(),
                          weight.K(), weight.group_size()};
  for_each_sum<int32_t>(shape, load_input, load_weight, store);
}

// S of the rows that p asks for, [columns, groups].
std::vector<float> weight_scales(const Linear& p, uint32_t groups) {
  std::vector<float> scales;
  scales.reserve(size_t{p.num_columns()} * groups);
  for (uint32_t n = p.n_begin; n < p.n_begin + p.num_columns(); ++n) {
    for (uint32_t g = 0; g < groups; ++g) {
      scales.push_back(p.weight->scale(n, g * p.weight->group_size()));
    }
  }
  return scales;
}

// QUANT_BIAS is added to the accumulator of the row's only, or first, group.
float to_f32(const Weight& weight, uint32_t n, uint32_t g, int32_t acc) {
  const auto bias = weight.quant_bias();
  if (g != 0 || bias.empty()) return static_cast<float>(acc);
  return static_cast<float>(int64_t{acc} + bias[n]);
}

}  // namespace

bool is_integer_mode(uint32_t act_quant) {
  return act_quant != TSR_ACT_FLOAT && act_quant <= TSR_ACT_I4_DYNAMIC;
}

Status check_linear_integer(const Linear& p) {
  TSR_ASSIGN_OR_RETURN(const ActivationRules rules, activation_rules(p));
  return check_integers(p, rules);
}

Status linear_integer(const Linear& p, float* y) {
  TSR_ASSIGN_OR_RETURN(const ActivationRules rules, activation_rules(p));
  const Weight& weight = *p.weight;
  const uint32_t columns = p.num_columns();
  const uint32_t groups =
      (weight.K() + weight.group_size() - 1) / weight.group_size();
  const bool per_channel = is_per_channel(weight);
  const std::vector<float> scales_w = weight_scales(p, groups);

  std::vector<float> scale_a(p.M);
  const auto store = [&](uint32_t m, uint32_t n, uint32_t g, int32_t acc) {
    const uint32_t column = n - p.n_begin;
    float& value = y[size_t{m} * columns + column];
    const float scale_w = scales_w[size_t{column} * groups + g];
    const float sum = to_f32(weight, n, g, acc);
    if (per_channel) {
      const float scale = scale_a[m] * scale_w;
      value = sum * scale;
    } else {
      value = std::fma(sum, scale_w, g == 0 ? 0.0f : value);
    }
  };
  for_each_accumulator(p, rules, scale_a, store);

  for (uint32_t m = 0; m < p.M; ++m) {
    for (uint32_t column = 0; column < columns; ++column) {
      const size_t index = size_t{m} * columns + column;
      const uint32_t n = p.n_begin + column;
      if (!per_channel) {
        const float scale = scale_a[m] * weight.scale2(n);
        y[index] = y[index] * scale;
      }
      y[index] = apply_epilogue(p.epilogue, n, index, y[index]);
    }
  }
  return {};
}

Status integer_accumulators(const Linear& p, int32_t* acc) {
  if (!is_per_channel(*p.weight)) {
    return Status(TSR_INVALID_ARGUMENT,
                  "a weight with groups of " +
                      std::to_string(p.weight->group_size()) +
                      " has no single accumulator");
  }
  TSR_ASSIGN_OR_RETURN(const ActivationRules rules, activation_rules(p));
  std::vector<float> scale_a(p.M);
  const auto store = [&](uint32_t m, uint32_t n, uint32_t, int32_t sum) {
    acc[size_t{m} * p.num_columns() + (n - p.n_begin)] = sum;
  };
  for_each_accumulator(p, rules, scale_a, store);
  return {};
}

}  // namespace tessera::reference
