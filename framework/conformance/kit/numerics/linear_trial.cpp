// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/numerics/linear_trial.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/linear/fixed_pipe.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/conformance/reference/linear/linear_integer.hpp"
#include "framework/format/element.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/names.hpp"

namespace tessera::conformance {
namespace {

// Halves whose product with the reciprocal scale is exact: with a dynamic scale
// because the largest value is the largest code, with a static one because the
// scale is a power of two.
std::vector<float> tied_values(const LinearSpec& spec) {
  const bool is_static = spec.weight.static_activation;
  const float unit = is_static ? 0x1p-5f : 1.0f;
  const float largest = spec.act_quant == TSR_ACT_I4_DYNAMIC ? 7.0f : 127.0f;
  std::vector<float> x(size_t{spec.max_m} * spec.K);
  for (size_t i = 0; i < x.size(); ++i) {
    const auto code = static_cast<float>(i % 11) - 5.5f;
    x[i] = i % spec.K == 0 ? largest * unit : code * unit;
  }
  return x;
}

std::vector<float> input_values(const LinearSpec& spec, std::mt19937& rng) {
  std::vector<float> x = normal_values(size_t{spec.max_m} * spec.K, 1.0f, rng);
  if (spec.values == LinearValues::kNan) {
    x[(spec.M - 1) * spec.K + spec.K / 2] =
        std::numeric_limits<float>::quiet_NaN();
  }
  if (spec.values == LinearValues::kTies) return tied_values(spec);
  if (spec.values != LinearValues::kExtreme) return x;
  for (uint32_t m = 0; m < spec.max_m; ++m) {
    float* row = &x[size_t{m} * spec.K];
    const float factor = m % 4 == 0   ? 0.0f
                         : m % 4 == 1 ? 0x1p-110f
                         : m % 4 == 2 ? 300.0f
                                      : 1.0f;
    for (uint32_t k = 0; k < spec.K; ++k) row[k] *= factor;
    if (m % 4 == 3) row[spec.K - 1] = 5000.0f;
  }
  return x;
}

// The tensors of one linear, and its op.
struct LinearIds {
  uint32_t x;
  uint32_t y;
  tsr_op_linear op{};
};

LinearIds add_tensors(const LinearSpec& spec, OpSetup& setup,
                      std::mt19937& rng) {
  LinearIds ids{};
  const uint32_t width = spec.n_end() - spec.n_begin();
  const auto shape = [&](uint32_t cols, uint32_t gap) {
    return TensorShape{{token_dim(spec.max_m), fixed_dim(cols)},
                       spec.strided ? cols + gap : 0};
  };
  ids.x = setup.add_floats("x", spec.x_dtype, shape(spec.K, 8),
                           input_values(spec, rng));
  tsr_op_linear& op = ids.op;
  op.op.kind = TSR_OP_LINEAR;
  op.op.flags = spec.portable ? uint32_t{TSR_OP_PORTABLE} : 0U;
  op.bias = op.multiplier = op.residual = TSR_NONE;
  const auto side = [&](const char* name) {
    return setup.add_floats(
        name, spec.x_dtype, shape(width, 16),
        normal_values(size_t{spec.max_m} * width, 1.0f, rng));
  };
  if ((spec.fused & TSR_FUSES_BIAS) != 0) {
    TensorShape bias{{fixed_dim(spec.N)}};
    bias.constant = true;
    op.bias = setup.add_floats("bias", TSR_F32, bias,
                               normal_values(spec.N, 1.0f, rng));
  }
  if ((spec.fused & TSR_FUSES_MULTIPLIER) != 0) {
    op.multiplier = side("multiplier");
  }
  if ((spec.fused & TSR_FUSES_RESIDUAL) != 0) op.residual = side("residual");
  if ((spec.fused & TSR_FUSES_ACCUMULATE) != 0) {
    ids.y =
        setup.add_floats("y", spec.y_dtype, shape(width, 4),
                         normal_values(size_t{spec.max_m} * width, 1.0f, rng));
    setup.set_output(ids.y);
    op.flags |= TSR_LINEAR_ACCUMULATE;
  } else {
    ids.y = setup.add_output("y", spec.y_dtype, shape(width, 4));
  }
  if ((spec.fused & TSR_FUSES_PARTIAL) != 0) op.flags |= TSR_LINEAR_PARTIAL;
  op.x = ids.x;
  op.y = ids.y;
  op.activation = spec.activation;
  op.act_quant = spec.act_quant;
  if ((spec.fused & TSR_FUSES_N_RANGE) != 0) {
    op.n_begin = spec.n_begin();
    op.n_end = spec.n_end();
  }
  return ids;
}

// `value` as `dtype` holds it.
double rounded(uint32_t dtype, float value) {
  std::byte place[4];
  format::set_element_value(dtype, place, 0, value);
  return format::element_value(dtype, place, 0);
}

struct LinearOracle {
  reference::Linear p;
  std::vector<float> x;
  std::vector<float> bias;
  std::vector<float> multiplier;
  std::vector<float> residual;

  LinearOracle(const LinearSpec& spec, const LinearIds& ids,
               const OpSetup& setup, const reference::Weight& weight) {
    const auto read = [&](uint32_t id) {
      return id == TSR_NONE ? std::vector<float>() : setup.floats(id);
    };
    x = setup.floats(ids.x);
    bias = read(ids.op.bias);
    multiplier = read(ids.op.multiplier);
    residual = read(ids.op.residual);
    if ((ids.op.flags & TSR_LINEAR_ACCUMULATE) != 0) residual = read(ids.y);
    p.weight = &weight;
    p.M = spec.M;
    p.x = x.data();
    p.n_begin = spec.n_begin();
    p.n_end = spec.n_end();
    p.act_quant = spec.act_quant;
    p.num_decode_tokens = spec.num_decode_tokens;
    p.epilogue.bias = bias.empty() ? nullptr : bias.data();
    p.epilogue.multiplier = multiplier.empty() ? nullptr : multiplier.data();
    p.epilogue.residual = residual.empty() ? nullptr : residual.data();
    p.epilogue.activation = spec.activation;
  }
};

Result<Expected> expect_linear(const LinearSpec& spec,
                               const LinearOracle& oracle,
                               const tsr_kernel_desc& row) {
  const reference::Linear& p = oracle.p;
  const size_t count = size_t{p.M} * p.num_columns();
  Expected expected;
  expected.rows = p.M;
  expected.values.resize(count);
  expected.bounds.resize(count);
  const bool partial = (spec.fused & TSR_FUSES_PARTIAL) != 0;
  if (reference::is_integer_mode(spec.act_quant) && partial) {
    std::vector<int32_t> sums(count);
    TSR_RETURN_IF_ERROR(reference::linear_accumulators(p, sums.data()));
    std::copy(sums.begin(), sums.end(), expected.values.begin());
    return expected;
  }
  if (row.error_class == TSR_ERROR_EXACT) {
    std::vector<float> y(count);
    TSR_RETURN_IF_ERROR(reference::linear(p, y.data()));
    if (spec.has_fixed_pipe && spec.y_dtype != TSR_BF16) {
      TSR_RETURN_IF_ERROR(reference::leave_through_fixed_pipe(p, y.data()));
    }
    for (size_t i = 0; i < count; ++i) {
      expected.values[i] = rounded(spec.y_dtype, y[i]);
    }
    return expected;
  }
  TSR_RETURN_IF_ERROR(reference::linear(p, expected.values.data()));
  reference::BoundClass bound;
  bound.error_class = row.error_class;
  bound.out_dtype = spec.y_dtype;
  const bool wide =
      spec.x_dtype == TSR_BF16 || row.weight_format == TSR_WEIGHT_BF16;
  bound.half_dtype = wide ? TSR_BF16 : TSR_F16;
  TSR_RETURN_IF_ERROR(
      reference::linear_bound(p, bound, expected.bounds.data()));
  return expected;
}

}  // namespace

std::string LinearSpec::text() const {
  std::string text = fmt::format(
      "{}{}/M{}_N{}_K{}_x.{}_y.{}", sdk::names::act_quant(act_quant),
      weight.text(), M, N, K, dtype_name(x_dtype), dtype_name(y_dtype));
  if (max_m != M) text += fmt::format("_of{}", max_m);
  if (num_decode_tokens != 0) text += fmt::format("_dec{}", num_decode_tokens);
  if (activation != 0) text += "_" + sdk::names::activation(activation);
  static const char* const words[] = {"bias",       "multiplier", "residual",
                                      "accumulate", "partial",    "nrange"};
  for (uint32_t bit = 0; bit < 6; ++bit) {
    if ((fused >> bit & 1U) != 0) text += std::string("_") + words[bit];
  }
  if (strided) text += "_strided";
  if (portable) text += "_portable";
  if (values == LinearValues::kExtreme) text += "_extreme";
  if (values == LinearValues::kTies) text += "_ties";
  if (values == LinearValues::kNan) text += "_nan";
  return text;
}

Result<OpTrial> make_linear(const LinearSpec& spec,
                            const tsr_kernel_desc* row) {
  std::mt19937 rng(spec.seed);
  OpTrial made;
  TSR_ASSIGN_OR_RETURN(format::WeightData weight,
                       make_weight(spec.weight, spec.N, spec.K, rng));
  LinearIds ids = add_tensors(spec, made.setup, rng);
  ids.op.weight = made.setup.add_weight(std::move(weight));
  made.setup.add_op(ids.op);
  made.setup.set_limits(spec.max_m, spec.max_m, spec.max_m, 1);
  made.setup.step.num_tokens = spec.M;
  made.setup.step.num_seqs = 1;
  made.setup.step.num_outputs = 1;
  made.setup.step.max_q_len = spec.M;
  made.setup.step.max_seq_len = spec.M;
  made.setup.step.num_decode_tokens = spec.num_decode_tokens;
  TSR_ASSIGN_OR_RETURN(const reference::Weight opened,
                       reference::Weight::open(made.setup.weights()[0]));
  const LinearOracle oracle(spec, ids, made.setup, opened);
  TSR_RETURN_IF_ERROR(reference::check_linear(oracle.p));
  if (row == nullptr) return made;
  TSR_ASSIGN_OR_RETURN(Expected expected, expect_linear(spec, oracle, *row));
  expected.tensor = ids.y;
  made.expected.push_back(std::move(expected));
  return made;
}

}  // namespace tessera::conformance
