// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/numerics/row_op_trial.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "framework/conformance/reference/attention/rope.hpp"
#include "framework/conformance/reference/attention/softmax.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/elementwise.hpp"
#include "framework/conformance/reference/gather.hpp"
#include "framework/conformance/reference/norm.hpp"
#include "framework/format/element.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/names.hpp"

namespace tessera::conformance {
namespace {

constexpr float kEpsilon = 1e-5f;
constexpr float kSoftmaxScale = 0.5f;
constexpr uint32_t kTableRows = 23;

// The setup of one small op while it is being made.
class RowOpMaker {
 public:
  RowOpMaker(const RowOpSpec& spec, const tsr_kernel_desc* row)
      : spec_(spec), row_(row), rng_(spec.seed) {}

  Result<OpTrial> make() {
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
      if (spec_.op == TSR_OP_ADD && spec_.N > 1) {
        values[count() - 2] = std::numeric_limits<float>::infinity();
      }
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
      p = static_cast<int32_t>(rng_() % spec_.table_rows);
    positions[0] = static_cast<int32_t>(spec_.table_rows) - 1;
    TensorShape where{{token_dim(spec_.max_m)}};
    where.role = TSR_ROLE_POSITIONS;
    op.positions = made_.setup.add_ints("positions", where, positions);
    std::vector<float> table(size_t{spec_.table_rows} * rotary);
    for (uint32_t p = 0; p < spec_.table_rows; ++p) {
      for (uint32_t i = 0; i < rotary / 2; ++i) {
        const double angle =
            p * std::pow(10000.0, -2.0 * i / static_cast<double>(rotary));
        table[p * rotary + i] = static_cast<float>(std::cos(angle));
        table[p * rotary + rotary / 2 + i] =
            static_cast<float>(std::sin(angle));
      }
    }
    TensorShape angles{{fixed_dim(spec_.table_rows), fixed_dim(rotary)}};
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
    p.max_positions = spec_.table_rows;
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
    TensorShape table_shape{{fixed_dim(spec_.table_rows), fixed_dim(spec_.N)}};
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
      for (int32_t& r : rows) {
        r = static_cast<int32_t>(rng_() % spec_.table_rows);
      }
      rows[0] = static_cast<int32_t>(spec_.table_rows) - 1;
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
  OpTrial made_;
};

}  // namespace

std::string RowOpSpec::text() const {
  std::string text = fmt::format("M{}_N{}_x.{}_y.{}", M, N, dtype_name(x_dtype),
                                 dtype_name(y_dtype));
  if (table_rows != RowOpSpec().table_rows) {
    text += fmt::format("_table{}", table_rows);
  }
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

Result<OpTrial> make_row_op(const RowOpSpec& spec, const tsr_kernel_desc* row) {
  return RowOpMaker(spec, row).make();
}

}  // namespace tessera::conformance
