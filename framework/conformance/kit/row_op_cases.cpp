// SPDX-License-Identifier: Apache-2.0
//
// Level 1, the small ops: norms, rope, elementwise, softmax, gathers.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/elementwise.hpp"
#include "framework/conformance/reference/gather.hpp"
#include "framework/conformance/reference/norm.hpp"
#include "framework/conformance/reference/rope.hpp"
#include "framework/conformance/reference/softmax.hpp"
#include "framework/format/element.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/names.hpp"

namespace tessera::conformance {
namespace {

struct RowOpSpec {
  uint32_t op = TSR_OP_ADD;
  uint32_t M = 5;
  uint32_t max_m = 5;
  uint32_t N = 64;      // last dimension
  uint32_t heads = 1;   // rope
  uint32_t rotary = 0;  // rope: rotated elements; 0: all
  uint32_t x_dtype = TSR_F32;
  uint32_t y_dtype = TSR_F32;
  uint32_t variant = 0;  // gelu, or the rope style
  bool strided = false;
  bool in_place = false;  // rope
  bool special = false;   // a NaN, and rows of zeros
  float magnitude = 1.0f;
  float offset = 0.0f;  // of all inputs
  uint32_t seed = 42;

  std::string text() const {
    std::string text = fmt::format("M{}_N{}_x.{}_y.{}", M, N,
                                   dtype_name(x_dtype), dtype_name(y_dtype));
    if (max_m != M) text += fmt::format("_of{}", max_m);
    if (heads != 1) text += fmt::format("_h{}", heads);
    if (rotary != 0) text += fmt::format("_rotary{}", rotary);
    if (op == TSR_OP_GELU) text += "_" + sdk::names::activation(variant);
    if (op == TSR_OP_ROPE) text += "_" + sdk::names::rope_style(variant);
    if (strided) text += "_strided";
    if (in_place) text += "_inplace";
    if (special) text += "_special";
    if (offset != 0.0f) text += "_below";
    if (magnitude != 1.0f) text += fmt::format("_x{}", magnitude);
    return text;
  }
  bool is_rope() const { return op == TSR_OP_ROPE; }
  bool is_gather() const {
    return op == TSR_OP_EMBEDDING || op == TSR_OP_GATHER_ROWS;
  }
};

constexpr uint32_t kMaxPositions = 40;
constexpr float kEpsilon = 1e-5f;
constexpr float kSoftmaxScale = 0.5f;
constexpr uint32_t kTableRows = 23;

// The setup of one small op while it is being made.
class RowOpMaker {
 public:
  RowOpMaker(const RowOpSpec& spec, const tsr_kernel_desc* row)
      : spec_(spec), row_(row), rng_(spec.seed) {}

  Result<Candidate::Made> make() {
    OpSetup& setup = made_.setup;
    setup.set_limits(spec_.max_m, spec_.max_m, spec_.max_m, 1);
    setup.step.num_tokens = spec_.M;
    setup.step.num_seqs = 1;
    setup.step.num_outputs = spec_.M;
    setup.step.max_q_len = spec_.M;
    setup.step.max_seq_len = spec_.M;
    switch (spec_.op) {
      case TSR_OP_RMS_NORM:
      case TSR_OP_LAYER_NORM:
        norm();
        break;
      case TSR_OP_ROPE:
        TSR_RETURN_IF_ERROR(rope());
        break;
      case TSR_OP_SOFTMAX:
        softmax();
        break;
      case TSR_OP_EMBEDDING:
      case TSR_OP_GATHER_ROWS:
        TSR_RETURN_IF_ERROR(gather());
        break;
      default:
        elementwise();
    }
    return std::move(made_);
  }

 private:
  size_t count() const { return size_t{spec_.M} * spec_.heads * spec_.N; }
  TensorShape shape(uint32_t gap) const {
    TensorShape shape;
    shape.dims = {token_dim(spec_.max_m)};
    if (spec_.is_rope()) shape.dims.push_back(fixed_dim(spec_.heads));
    shape.dims.push_back(fixed_dim(spec_.N));
    if (spec_.strided) shape.row_stride = spec_.N + gap;
    return shape;
  }
  uint32_t input(const char* name, uint32_t gap) {
    const size_t elements = size_t{spec_.max_m} * spec_.heads * spec_.N;
    std::vector<float> values = normal_values(elements, spec_.magnitude, rng_);
    for (float& value : values) value += spec_.offset;
    if (spec_.special) {
      std::fill_n(values.begin(), spec_.N, 0.0f);
      values[count() - 1] = std::numeric_limits<float>::quiet_NaN();
    }
    return made_.setup.add_floats(name, spec_.x_dtype, shape(gap), values);
  }
  uint32_t output() {
    return made_.setup.add_output("y", spec_.y_dtype, shape(4));
  }
  uint32_t vector(const char* name) {
    TensorShape flat{{fixed_dim(spec_.N)}};
    flat.constant = true;
    return made_.setup.add_floats(name, spec_.x_dtype, flat,
                                  normal_values(spec_.N, 1.0f, rng_));
  }

  // FLOAT: 8 units in the last place of the output, or of the largest term
  // where terms cancel.  EXACT: the oracle's value, rounded once.
  void expect(uint32_t tensor, std::vector<double> values,
              const std::vector<double>& magnitudes) {
    if (row_ == nullptr) return;
    Expected expected;
    expected.tensor = tensor;
    expected.rows = size_t{spec_.M} * spec_.heads;
    const bool exact =
        row_->error_class == TSR_ERROR_EXACT || spec_.is_gather();
    for (size_t i = 0; i < values.size(); ++i) {
      const double magnitude = magnitudes.empty() ? 0.0 : magnitudes[i];
      if (exact) {
        std::byte place[4];
        format::set_element_value(spec_.y_dtype, place, 0,
                                  static_cast<float>(values[i]));
        values[i] = format::element_value(spec_.y_dtype, place, 0);
        expected.bounds.push_back(0.0);
      } else if (std::isfinite(values[i])) {
        const double inner = std::isfinite(magnitude) ? magnitude : 0.0;
        expected.bounds.push_back(
            reference::float_bound(values[i], spec_.y_dtype) +
            reference::float_bound(0.0, TSR_F32, inner));
      } else {
        expected.bounds.push_back(0.0);
      }
    }
    expected.values = std::move(values);
    made_.expected.push_back(std::move(expected));
  }

  void norm() {
    tsr_op_norm op{};
    op.op.kind = spec_.op;
    op.x = input("x", 8);
    op.y = output();
    op.weight = vector("weight");
    const bool layer = spec_.op == TSR_OP_LAYER_NORM;
    op.bias = layer ? vector("bias") : TSR_NONE;
    op.eps = kEpsilon;
    made_.setup.add_op(op);

    const std::vector<float> x = made_.setup.floats(op.x);
    const std::vector<float> weight = made_.setup.floats(op.weight);
    const std::vector<float> bias =
        layer ? made_.setup.floats(op.bias) : std::vector<float>();
    reference::Norm p;
    p.rows = spec_.M;
    p.D = spec_.N;
    p.x = x.data();
    p.weight = weight.data();
    p.bias = layer ? bias.data() : nullptr;
    p.eps = kEpsilon;
    std::vector<double> y(count());
    std::vector<double> magnitudes;
    if (!layer) {
      reference::rms_norm(p, y.data());
    } else {
      reference::layer_norm(p, y.data());
      magnitudes = layer_norm_magnitudes(p);
    }
    expect(op.y, std::move(y), magnitudes);
  }

  // The largest of the terms whose difference is the result.
  static std::vector<double> layer_norm_magnitudes(const reference::Norm& p) {
    std::vector<double> magnitudes(p.rows * p.D);
    for (size_t r = 0; r < p.rows; ++r) {
      const float* x = p.x + r * p.D;
      double mean = 0.0;
      double largest = 0.0;
      for (size_t i = 0; i < p.D; ++i) {
        mean += x[i];
        largest = std::max(largest, std::fabs(double{x[i]}));
      }
      mean /= static_cast<double>(p.D);
      double variance = p.eps;
      for (size_t i = 0; i < p.D; ++i) {
        variance += (x[i] - mean) * (x[i] - mean) / static_cast<double>(p.D);
      }
      for (size_t i = 0; i < p.D; ++i) {
        const double scaled =
            2.0 * largest / std::sqrt(variance) * std::fabs(p.weight[i]);
        magnitudes[r * p.D + i] =
            std::max(scaled, std::fabs(double{p.bias[i]}));
      }
    }
    return magnitudes;
  }

  Status rope() {
    const uint32_t rotary = spec_.rotary == 0 ? spec_.N : spec_.rotary;
    if (rotary % 2 != 0 || rotary > spec_.N) {
      return {TSR_INVALID_ARGUMENT, "rotary"};
    }
    tsr_op_rope op{};
    op.op.kind = TSR_OP_ROPE;
    op.x = input("x", 8);
    if (spec_.in_place) made_.setup.set_output(op.x);
    op.y = spec_.in_place ? op.x : output();
    std::vector<int32_t> positions(spec_.max_m);
    for (int32_t& p : positions)
      p = static_cast<int32_t>(rng_() % kMaxPositions);
    TensorShape where{{token_dim(spec_.max_m)}};
    where.role = TSR_ROLE_POSITIONS;
    op.positions = made_.setup.add_ints("positions", where, positions);
    std::vector<float> table(size_t{kMaxPositions} * rotary);
    for (uint32_t p = 0; p < kMaxPositions; ++p) {
      for (uint32_t i = 0; i < rotary / 2; ++i) {
        const double angle =
            p * std::pow(10000.0, -2.0 * i / static_cast<double>(rotary));
        table[p * rotary + i] = static_cast<float>(std::cos(angle));
        table[p * rotary + rotary / 2 + i] =
            static_cast<float>(std::sin(angle));
      }
    }
    TensorShape angles{{fixed_dim(kMaxPositions), fixed_dim(rotary)}};
    angles.constant = true;
    op.table = made_.setup.add_floats("table", TSR_F32, angles, table);
    op.style = spec_.variant;
    op.rotary_dim = rotary;
    made_.setup.add_op(op);

    const std::vector<float> x = made_.setup.floats(op.x);
    reference::Rope p;
    p.num_tokens = spec_.M;
    p.num_heads = spec_.heads;
    p.head_dim = spec_.N;
    p.x = x.data();
    p.positions = positions.data();
    p.table = table.data();
    p.max_positions = kMaxPositions;
    p.style = spec_.variant;
    p.rotary_dim = rotary;
    std::vector<double> y(count());
    TSR_RETURN_IF_ERROR(reference::rope(p, y.data()));
    // Two terms, each at most the largest of its head.
    std::vector<double> magnitudes(count());
    for (size_t head = 0; head < count() / spec_.N; ++head) {
      double largest = 0.0;
      for (size_t i = 0; i < spec_.N; ++i) {
        largest = std::max(largest, std::fabs(double{x[head * spec_.N + i]}));
      }
      std::fill_n(
          magnitudes.begin() + static_cast<std::ptrdiff_t>(head * spec_.N),
          spec_.N, largest);
    }
    expect(op.y, std::move(y), magnitudes);
    return {};
  }

  void softmax() {
    tsr_op_softmax op{};
    op.op.kind = TSR_OP_SOFTMAX;
    op.x = input("x", 8);
    op.y = output();
    op.scale = kSoftmaxScale;
    made_.setup.add_op(op);
    const std::vector<float> x = made_.setup.floats(op.x);
    std::vector<double> y(count());
    reference::softmax(x.data(), spec_.M, spec_.N, kSoftmaxScale, y.data());
    // exp turns a rounding of its argument, at most the spread of the row, into
    // that relative error.
    std::vector<double> magnitudes(count());
    for (size_t r = 0; r < spec_.M; ++r) {
      double largest = 1.0;
      for (size_t i = 0; i < spec_.N; ++i) {
        largest = std::max(largest, std::fabs(double{x[r * spec_.N + i]}));
      }
      for (size_t i = 0; i < spec_.N; ++i) {
        magnitudes[r * spec_.N + i] = largest * y[r * spec_.N + i];
      }
    }
    expect(op.y, std::move(y), magnitudes);
  }

  void elementwise() {
    tsr_op_elementwise op{};
    op.op.kind = spec_.op;
    op.a = input("a", 8);
    op.b = spec_.op == TSR_OP_GELU ? TSR_NONE : input("b", 16);
    op.y = output();
    op.variant = spec_.op == TSR_OP_GELU ? spec_.variant : 0;
    made_.setup.add_op(op);
    const std::vector<float> a = made_.setup.floats(op.a);
    const std::vector<float> b =
        op.b == TSR_NONE ? std::vector<float>() : made_.setup.floats(op.b);
    std::vector<double> y(count());
    std::vector<double> magnitudes;
    if (spec_.op == TSR_OP_ADD) {
      reference::add(a.data(), b.data(), count(), y.data());
      for (size_t i = 0; i < count(); ++i) {
        magnitudes.push_back(std::fmax(std::fabs(a[i]), std::fabs(b[i])));
      }
    } else if (spec_.op == TSR_OP_SILU_MUL) {
      reference::silu_mul(a.data(), b.data(), count(), y.data());
    } else {
      reference::gelu(a.data(), count(), spec_.variant, y.data());
      // 1 + erf cancels where it is small; the product is of order a.
      for (size_t i = 0; i < count(); ++i) {
        magnitudes.push_back(std::fabs(double{a[i]}));
      }
    }
    expect(op.y, std::move(y), magnitudes);
  }

  Status gather() {
    const bool embedding = spec_.op == TSR_OP_EMBEDDING;
    TensorShape table_shape{{fixed_dim(kTableRows), fixed_dim(spec_.N)}};
    table_shape.constant = embedding;
    if (!embedding) {
      table_shape.dims[0] = token_dim(std::max(kTableRows, spec_.max_m));
    }
    tsr_op_gather op{};
    op.op.kind = spec_.op;
    const uint32_t table_rows = table_shape.dims[0].max;
    op.table = made_.setup.add_floats(
        "table", spec_.x_dtype, table_shape,
        normal_values(size_t{table_rows} * spec_.N, 1.0f, rng_));
    std::vector<int32_t> rows(spec_.max_m);
    for (int32_t& r : rows) r = static_cast<int32_t>(rng_() % spec_.M);
    if (embedding) {
      for (int32_t& r : rows) r = static_cast<int32_t>(rng_() % kTableRows);
      rows[0] = kTableRows - 1;
    }
    const tsr_dim dim{spec_.max_m, embedding ? uint32_t{TSR_DIM_TOKENS}
                                             : uint32_t{TSR_DIM_OUTPUTS}};
    TensorShape ids{{dim}};
    ids.role = embedding ? TSR_ROLE_TOKEN_IDS : TSR_ROLE_OUTPUT_ROWS;
    op.rows = made_.setup.add_ints("rows", ids, rows);
    TensorShape out = shape(4);
    out.dims[0] = dim;
    op.y = made_.setup.add_output("y", spec_.y_dtype, out);
    if (!embedding) {
      made_.setup.set_limits(table_rows, spec_.max_m, spec_.max_m, 1);
    }
    made_.setup.add_op(op);

    const std::vector<float> table = made_.setup.floats(op.table);
    reference::Gather p;
    p.table = table.data();
    p.num_rows = table_rows;
    p.D = spec_.N;
    p.rows = rows.data();
    p.count = spec_.M;
    std::vector<double> y(count());
    TSR_RETURN_IF_ERROR(reference::embedding(p, y.data()));
    expect(op.y, std::move(y), {});
    return {};
  }

  const RowOpSpec& spec_;
  const tsr_kernel_desc* row_;
  std::mt19937 rng_;
  Candidate::Made made_;
};

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
      return RowOpMaker(spec, row).make();
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
