// SPDX-License-Identifier: Apache-2.0
//
// Level 1, linear: formats, ragged shapes, activation rules, epilogues, views.

#include <algorithm>
#include <utility>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/numerics/linear_trial.hpp"
#include "framework/conformance/reference/linear/linear_integer.hpp"

namespace tessera::conformance {
namespace {

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
    base_.has_fixed_pipe = options.has_fixed_pipe;
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
      add_kinds(base);
      add_dtypes(base);
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
    // The tail behind many whole tiles.
    LinearSpec wide = base;
    resize(wide, 2, 1037, 32);
    add(wide);
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
      // The other operands are as wide as the range.
      spec.fused |=
          row_.fused_operands & (TSR_FUSES_MULTIPLIER | TSR_FUSES_RESIDUAL);
      if (spec.fused != kRangeAndBias) add(spec);
    }
    // Sums are rounded to the output's type once, behind all of them.
    for (const uint32_t dtype : values_in(row_.y_dtypes)) {
      LinearSpec spec = base;
      spec.y_dtype = dtype;
      spec.fused = row_.fused_operands &
                   (TSR_FUSES_BIAS | TSR_FUSES_MULTIPLIER | TSR_FUSES_RESIDUAL);
      if (spec.fused != 0 && dtype != base.y_dtype) add(spec);
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
    // Each operand has a stride of its own.
    spec.fused =
        row_.fused_operands & (TSR_FUSES_MULTIPLIER | TSR_FUSES_RESIDUAL);
    if (spec.fused != 0) add(spec);
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
      spec.values = LinearValues::kExtreme;
      add(spec);
    }
    if (reference::is_integer_mode(base.act_quant)) {
      spec.values = LinearValues::kTies;
      spec.weight.power_of_two_scales = true;
      add(spec);
      spec.weight.power_of_two_scales = false;
    }
    if (base.act_quant == TSR_ACT_I8_STATIC ||
        base.act_quant == TSR_ACT_U8_STATIC) {
      return;  // numerics.md leaves NaN open there
    }
    resize(spec, 3, 16, 64);
    spec.values = LinearValues::kNan;
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
