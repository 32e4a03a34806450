// SPDX-License-Identifier: Apache-2.0
//
// Level 1, linear: formats, ragged shapes, activation rules, epilogues, views.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/weight_samples.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/linear.hpp"
#include "framework/conformance/reference/linear_integer.hpp"
#include "framework/format/element.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/names.hpp"

namespace tessera::conformance {
namespace {

// What x holds.
enum class Values {
  kNormal,
  kExtreme,  // rows of zeros, of tiny values, and far outside static ranges
  kTies,     // codes that lie half way between two
  kNan       // one row has a NaN
};

struct LinearSpec {
  WeightKind weight;
  uint32_t M = 5;
  uint32_t max_m = 5;  // of the program
  uint32_t N = 17;
  uint32_t K = 96;
  uint32_t x_dtype = TSR_F32;
  uint32_t y_dtype = TSR_F32;
  uint32_t act_quant = TSR_ACT_FLOAT;
  uint32_t activation = TSR_EPILOGUE_NONE;
  uint32_t fused = 0;  // mask of TSR_FUSES_*
  uint32_t accumulator = TSR_F32;
  uint32_t num_decode_tokens = 0;
  bool strided = false;
  bool portable = false;
  Values values = Values::kNormal;
  uint32_t seed = 42;

  uint32_t n_begin() const {
    return (fused & TSR_FUSES_N_RANGE) != 0 ? N / 4 / 16 * 16 : 0;
  }
  uint32_t n_end() const {
    return (fused & TSR_FUSES_N_RANGE) != 0 ? std::max(n_begin() + 1, N - N / 4)
                                            : N;
  }
  std::string text() const;
};

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
  if (values == Values::kExtreme) text += "_extreme";
  if (values == Values::kTies) text += "_ties";
  if (values == Values::kNan) text += "_nan";
  return text;
}

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
  if (spec.values == Values::kNan) {
    x[(spec.M - 1) * spec.K + spec.K / 2] =
        std::numeric_limits<float>::quiet_NaN();
  }
  if (spec.values == Values::kTies) return tied_values(spec);
  if (spec.values != Values::kExtreme) return x;
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

Result<Candidate::Made> make_linear(const LinearSpec& spec,
                                    const tsr_kernel_desc* row) {
  std::mt19937 rng(spec.seed);
  Candidate::Made made;
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

// Every loop edge once, for vectors of 4 to 64 elements and tiles of rows.
constexpr uint32_t kM[] = {5, 1, 2, 3, 17, 4, 33};
constexpr uint32_t kN[] = {17, 1, 15, 16, 48, 33, 100};
constexpr uint32_t kK[] = {96, 1, 31, 32, 33, 64, 3, 128, 129, 172, 384};

// Makes the specs of one row.
class LinearPlanner {
 public:
  LinearPlanner(const Claim& claim, const tsr_kernel_desc& row,
                const CaseOptions& options, CaseList& cases)
      : claim_(claim), row_(row), options_(options), cases_(cases) {
    kinds_ = weight_kinds_of(row);
    base_.x_dtype = first_of(row.x_dtypes);
    base_.y_dtype = first_of(row.y_dtypes);
    base_.weight = kinds_.front();
    base_.seed = options.seed;
    resize(base_, 5, 17, 96);
    // The first kind may not be one that the rules admit: some rows read
    // groups alone.
    for (const WeightKind& kind : kinds_) {
      LinearSpec spec = with_act(base_, values_in(row.act_quants).front());
      spec.weight.scheme = kind.scheme;
      if (!is_inside(spec)) continue;
      base_.weight.scheme = kind.scheme;
      break;
    }
  }

  void add_all() {
    for (const uint32_t act : values_in(row_.act_quants)) {
      if (act > TSR_ACT_Q8) continue;
      const LinearSpec base = with_act(base_, act);
      add_shapes(base);
      add_steps(base);
      add_values(base);
      // How activations are read and what a weight looks like seldom meet.
      const bool first = act == values_in(row_.act_quants).front();
      if (options_.quick && !first) continue;
      add_dtypes(base);
      add_kinds(base);
      add_epilogues(base);
      add_outside(base);
    }
  }

 private:
  static uint32_t first_of(uint32_t mask) {
    const std::vector<uint32_t> values = values_in(mask);
    return values.empty() ? uint32_t{TSR_F32} : values.front();
  }

  void resize(LinearSpec& spec, uint32_t M, uint32_t N, uint32_t K) const {
    spec.M = spec.max_m = fit(row_.M, M);
    spec.N = fit(row_.N, N);
    spec.K = fit_depth(row_.weight_format, fit(row_.K, K));
  }

  LinearSpec with_act(LinearSpec spec, uint32_t act) const {
    spec.act_quant = act;
    const bool is_static = act == TSR_ACT_I8_STATIC ||
                           act == TSR_ACT_U8_STATIC || act == TSR_ACT_I8_MIX;
    spec.weight.static_activation = is_static;
    spec.weight.act_zero_point = !is_static                 ? 0
                                 : act == TSR_ACT_U8_STATIC ? 117
                                                            : -13;
    return spec;
  }

  Candidate candidate(const LinearSpec& spec) const {
    Candidate one;
    one.what = spec.text();
    one.op = "linear";
    one.make = [spec](const tsr_kernel_desc* row) {
      return make_linear(spec, row);
    };
    one.phase = spec.num_decode_tokens != 0 ? TSR_DECODE : TSR_PREFILL;
    one.M = spec.M;
    return one;
  }
  bool is_inside(const LinearSpec& spec) const {
    const Result<Candidate::Made> made = make_linear(spec, nullptr);
    if (!made.ok()) return false;
    const Result<Answer> answer =
        claim_.judge(made->setup, TSR_PREFILL, spec.M);
    return answer.ok() && answer->inside;
  }
  void add(const LinearSpec& spec) {
    add_candidate(claim_, candidate(spec), cases_);
  }

  void add_shapes(const LinearSpec& base) {
    const size_t count = options_.quick ? 5 : 22;
    for (size_t i = 0; i < count; ++i) {
      LinearSpec spec = base;
      resize(spec, kM[i % std::size(kM)], kN[i % std::size(kN)],
             kK[i % std::size(kK)]);
      add(spec);
    }
  }

  void add_dtypes(const LinearSpec& base) {
    for (const uint32_t x : values_in(row_.x_dtypes)) {
      for (const uint32_t y : values_in(row_.y_dtypes)) {
        if (options_.quick && x != y) continue;
        LinearSpec spec = base;
        spec.x_dtype = x;
        spec.y_dtype = y;
        add(spec);
      }
    }
  }

  void add_kinds(const LinearSpec& base) {
    for (const WeightKind& kind : kinds_) {
      LinearSpec spec = base;
      spec.weight.scheme = kind.scheme;
      if (kind.permutation || kind.input_multiplier || kind.quant_bias ||
          kind.all_codes) {
        spec.weight.scheme = base.weight.scheme;
      }
      spec.weight.all_codes = kind.all_codes;
      spec.weight.permutation = kind.permutation;
      spec.weight.input_multiplier = kind.input_multiplier;
      spec.weight.quant_bias = kind.quant_bias;
      // A short last group, too.
      resize(spec, 3, 17, kind.scheme.group_size == 0 ? 300 : 168);
      if (is_inside(spec)) add(spec);
      if (kind.scheme.group_size == 0) continue;
      resize(spec, 1, 33, 256);
      if (is_inside(spec)) add(spec);
    }
  }

  void add_epilogues(const LinearSpec& base) {
    for (uint32_t bit = 0; bit < 6; ++bit) {
      LinearSpec spec = base;
      spec.fused = 1U << bit;
      if ((row_.fused_operands >> bit & 1U) == 0) continue;
      if (spec.fused == TSR_FUSES_PARTIAL) spec.y_dtype = row_.accumulator;
      if (spec.fused == TSR_FUSES_N_RANGE) spec.N = fit(row_.N, 100);
      add(spec);
    }
    constexpr uint32_t kRangeAndBias = TSR_FUSES_N_RANGE | TSR_FUSES_BIAS;
    if ((row_.fused_operands & kRangeAndBias) == kRangeAndBias) {
      LinearSpec spec = base;
      spec.fused = kRangeAndBias;
      spec.N = fit(row_.N, 100);
      add(spec);
    }
    for (const uint32_t activation : values_in(row_.activations)) {
      if (activation == TSR_EPILOGUE_NONE) continue;
      LinearSpec spec = base;
      spec.activation = activation;
      add(spec);
      // All at once: their order matters.
      spec.fused = row_.fused_operands &
                   (TSR_FUSES_BIAS | TSR_FUSES_MULTIPLIER | TSR_FUSES_RESIDUAL);
      add(spec);
    }
  }

  void add_steps(const LinearSpec& base) {
    LinearSpec spec = base;
    spec.max_m = fit(row_.M, 9);
    spec.strided = true;
    add(spec);
    if (row_.determinism == TSR_DETERMINISM_PORTABLE) {
      spec = base;
      spec.portable = true;
      add(spec);
    }
    if (base.act_quant != TSR_ACT_I8_MIX) return;
    spec = base;
    spec.num_decode_tokens = 2;
    add(spec);
    spec.num_decode_tokens = spec.M;
    add(spec);
  }

  void add_values(const LinearSpec& base) {
    LinearSpec spec = base;
    if (base.act_quant != TSR_ACT_FLOAT) {
      resize(spec, 8, 16, 64);
      spec.values = Values::kExtreme;
      add(spec);
    }
    if (reference::is_integer_mode(base.act_quant)) {
      spec.values = Values::kTies;
      spec.weight.power_of_two_scales = true;
      add(spec);
      spec.weight.power_of_two_scales = false;
    }
    if (base.act_quant == TSR_ACT_I8_STATIC ||
        base.act_quant == TSR_ACT_U8_STATIC) {
      return;  // numerics.md leaves NaN open there
    }
    resize(spec, 3, 16, 64);
    spec.values = Values::kNan;
    add(spec);
  }

  // Next to what the row admits; where another row takes it, it is run.
  void add_outside(const LinearSpec& base) {
    const auto change = [&](auto&& edit) {
      LinearSpec spec = base;
      edit(spec);
      add(spec);
    };
    for (const uint32_t dtype : {TSR_F32, TSR_F16, TSR_BF16}) {
      change([&](LinearSpec& spec) { spec.x_dtype = dtype; });
      change([&](LinearSpec& spec) { spec.y_dtype = dtype; });
    }
    if (row_.K.multiple > 1) change([](LinearSpec& spec) { ++spec.K; });
    if (row_.N.multiple > 1) change([](LinearSpec& spec) { ++spec.N; });
    if (row_.K.max != 0 && row_.K.max < 5000) {
      change([&](LinearSpec& spec) {
        spec.K = row_.K.max + std::max(row_.K.multiple, 1U);
      });
    }
    if (row_.N.max != 0 && row_.N.max < 5000) {
      change([&](LinearSpec& spec) {
        spec.N = row_.N.max + std::max(row_.N.multiple, 1U);
      });
    }
    for (uint32_t bit = 0; bit < 6; ++bit) {
      if ((row_.fused_operands >> bit & 1U) != 0) continue;
      change([&](LinearSpec& spec) {
        spec.fused = 1U << bit;
        if (spec.fused == TSR_FUSES_PARTIAL) spec.y_dtype = row_.accumulator;
      });
    }
    for (const uint32_t group : {7U, 8U, 32U}) {
      change([&](LinearSpec& spec) { spec.weight.scheme.group_size = group; });
    }
    change([](LinearSpec& spec) { spec.weight.permutation = true; });
    change([](LinearSpec& spec) { spec.weight.scheme.symmetric = false; });
    change([](LinearSpec& spec) { spec.portable = true; });
    for (uint32_t act = 0; act <= TSR_ACT_Q8; ++act) {
      if (act == base.act_quant) continue;
      add(with_act(base, act));
    }
  }

  const Claim& claim_;
  const tsr_kernel_desc& row_;
  const CaseOptions& options_;
  CaseList& cases_;
  std::vector<WeightKind> kinds_;
  LinearSpec base_;
};

}  // namespace

void add_linear_cases(const Claim& claim, const CaseOptions& options,
                      CaseList& cases) {
  for (const tsr_kernel_desc& row : claim.rows()) {
    if (row.op != TSR_OP_LINEAR || values_in(row.act_quants).empty()) continue;
    LinearPlanner(claim, row, options, cases).add_all();
  }
}

}  // namespace tessera::conformance
