// SPDX-License-Identifier: Apache-2.0
//
// Level 1, the small ops: norms, rope, elementwise, softmax, gathers.

#include <algorithm>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/numerics/row_op_trial.hpp"
#include "tessera/names.hpp"

namespace tessera::conformance {
namespace {

class RowOpPlanner {
 public:
  RowOpPlanner(const Claim& claim, const tsr_kernel_desc& row,
               const CaseOptions& options, CaseList& cases)
      : claim_(claim), row_(row), options_(options), cases_(cases) {
    base_.op = row.op;
    base_.N = fit_width(64);
    base_.M = base_.max_m = fit(row.M, 5);
    base_.x_dtype = first_of(row.x_dtypes);
    base_.y_dtype = first_of(row.y_dtypes);
    base_.seed = options.seed;
    if (row.op == TSR_OP_GELU) base_.variant = first_of(row.activations & ~1U);
    if (row.op == TSR_OP_ROPE) base_.variant = first_of(row.rope_styles & ~1U);
    if (base_.is_rope()) base_.heads = 3;
  }

  void add_all() {
    constexpr uint32_t kM[] = {5, 1, 2, 17, 3, 33, 9};
    constexpr uint32_t kN[] = {64, 1, 2, 7, 8, 16, 17, 33, 100, 128, 257, 1024};
    for (size_t i = 0; i < (options_.quick ? 4 : 12); ++i) {
      RowOpSpec spec = base_;
      spec.M = spec.max_m = fit(row_.M, kM[i % std::size(kM)]);
      spec.N = fit_width(kN[i]);
      add(spec);
    }
    for (const uint32_t x : values_in(row_.x_dtypes)) {
      for (const uint32_t y : values_in(row_.y_dtypes)) {
        if (options_.quick && x != y) continue;
        change([&](RowOpSpec& spec) {
          spec.x_dtype = x;
          spec.y_dtype = y;
        });
      }
    }
    add_variants();
    if (row_.op == TSR_OP_EMBEDDING || base_.is_rope()) {
      // Vocabularies and contexts that 16 bits do not count.
      change([&](RowOpSpec& spec) {
        spec.N = fit_width(8);
        spec.table_rows = 70000;
      });
    }
    change([&](RowOpSpec& spec) {
      spec.max_m = fit(row_.M, 9);
      spec.strided = !spec.is_rope() && !spec.is_gather();
    });
    if (!base_.is_gather()) {
      change([](RowOpSpec& spec) { spec.special = true; });
      change([](RowOpSpec& spec) { spec.magnitude = 20.0f; });
      change([](RowOpSpec& spec) { spec.offset = -256.0f; });
    }
    add_outside();
  }

 private:
  static uint32_t first_of(uint32_t mask) {
    const std::vector<uint32_t> values = values_in(mask);
    return values.empty() ? uint32_t{TSR_F32} : values.front();
  }
  uint32_t fit_width(uint32_t N) const {
    uint32_t width = fit(row_.N, N);
    if (row_.op == TSR_OP_ROPE) {
      width = fit(row_.head_dim, std::max(width, 2U));
      width += width % 2;
    }
    return width;
  }
  template <typename Edit>
  void change(const Edit& edit) {
    RowOpSpec spec = base_;
    edit(spec);
    add(spec);
  }
  void add(const RowOpSpec& spec) {
    Candidate one;
    one.what = spec.text();
    one.op = sdk::names::op(spec.op);
    one.make = [spec](const tsr_kernel_desc* row) {
      return make_row_op(spec, row);
    };
    one.M = spec.M;
    add_candidate(claim_, one, cases_);
  }

  void add_variants() {
    if (row_.op == TSR_OP_GELU) {
      for (const uint32_t v : values_in(row_.activations & ~1U)) {
        change([&](RowOpSpec& spec) { spec.variant = v; });
      }
    }
    if (row_.op != TSR_OP_ROPE) return;
    for (const uint32_t style : values_in(row_.rope_styles & ~1U)) {
      change([&](RowOpSpec& spec) { spec.variant = style; });
      change([&](RowOpSpec& spec) {
        spec.variant = style;
        spec.rotary = spec.N / 4 * 2;
      });
      change([&](RowOpSpec& spec) {
        spec.variant = style;
        spec.in_place = true;
        spec.y_dtype = spec.x_dtype;
      });
    }
  }

  void add_outside() {
    for (const uint32_t dtype : {TSR_F32, TSR_F16, TSR_BF16}) {
      change([&](RowOpSpec& spec) { spec.x_dtype = dtype; });
      change([&](RowOpSpec& spec) { spec.y_dtype = dtype; });
    }
    if (row_.N.multiple > 1) change([](RowOpSpec& spec) { ++spec.N; });
    constexpr uint32_t kLargest = 1U << 21;
    if (row_.N.max != 0 && row_.N.max < kLargest && !base_.is_rope()) {
      change([&](RowOpSpec& spec) {
        spec.M = spec.max_m = 1;
        spec.N = row_.N.max + std::max(row_.N.multiple, 1U);
      });
    }
    for (const uint32_t variant : {1U, 2U, 3U}) {
      if (row_.op == TSR_OP_GELU && variant != 1) {
        change([&](RowOpSpec& spec) { spec.variant = variant; });
      }
      if (row_.op == TSR_OP_ROPE && variant != 3) {
        change([&](RowOpSpec& spec) { spec.variant = variant; });
      }
    }
  }

  const Claim& claim_;
  const tsr_kernel_desc& row_;
  const CaseOptions& options_;
  CaseList& cases_;
  RowOpSpec base_;
};

bool is_row_op(uint32_t op) {
  return op >= TSR_OP_RMS_NORM && op <= TSR_OP_GATHER_ROWS;
}

}  // namespace

void add_row_op_cases(const Claim& claim, const CaseOptions& options,
                      CaseList& cases) {
  for (const tsr_kernel_desc& row : claim.rows()) {
    if (is_row_op(row.op)) {
      RowOpPlanner(claim, row, options, cases).add_all();
    }
  }
}

}  // namespace tessera::conformance
