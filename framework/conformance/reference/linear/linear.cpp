// SPDX-License-Identifier: Apache-2.0
//
// Float linear, and the choice between it and the integer modes.

#include "framework/conformance/reference/linear/linear.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "framework/conformance/reference/linear/activation.hpp"
#include "framework/conformance/reference/linear/linear_integer.hpp"
#include "framework/conformance/reference/linear/linear_tiles.hpp"
#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/weight.hpp"
#include "framework/tensor/half.hpp"

namespace tessera::reference {
namespace {

constexpr uint32_t kQ8Block = 32;

// `values` as factors of a product.
void round_factors(const Linear& p, std::span<double> values) {
  if (p.act_quant != TSR_ACT_FLOAT || p.factor_dtype == TSR_F32) return;
  for (double& value : values) {
    value = rounded_to(p.factor_dtype, static_cast<float>(value));
  }
}

Status check_mode(const Linear& p) {
  const uint32_t format = p.weight->format();
  const std::string name = "weight " + format::weight_format_name(format);
  switch (p.act_quant) {
    case TSR_ACT_F8_DYNAMIC:
      if (format == TSR_WEIGHT_F8E4M3 || format == TSR_WEIGHT_F8E5M2) return {};
      return Status(TSR_INVALID_ARGUMENT, name + " with f8 activations");
    case TSR_ACT_Q8:
      if (format::find_gguf_block(format) != nullptr) return {};
      return Status(TSR_INVALID_ARGUMENT, name + " with q8 activations");
    default:
      if (p.act_quant <= TSR_ACT_Q8) return {};
      return Status(TSR_INVALID_ARGUMENT,
                    "act_quant " + std::to_string(p.act_quant) + " is unknown");
  }
}

Status check_columns(const Linear& p) {
  const uint32_t n_end = p.n_end == 0 ? p.weight->N() : p.n_end;
  if (p.n_begin >= n_end || n_end > p.weight->N()) {
    return Status(TSR_INVALID_ARGUMENT, "columns " + std::to_string(p.n_begin) +
                                            " to " + std::to_string(n_end) +
                                            " of " +
                                            std::to_string(p.weight->N()));
  }
  return {};
}

// Row m of X as real numbers: what its codes mean, where it is quantized.
class InputReader {
 public:
  explicit InputReader(const Linear& p)
      : p_(p), x_(p.weight->K()), codes_(kQ8Block) {}

  void read(uint32_t m, std::span<double> out_row) {
    arrange_input(*p_.weight, p_.x + size_t{m} * x_.size(), x_);
    if (p_.act_quant == TSR_ACT_F8_DYNAMIC) {
      const double scale = quantize_f8(std::vector<float>(x_), x_);
      for (size_t k = 0; k < x_.size(); ++k) out_row[k] = x_[k] * scale;
    } else if (p_.act_quant == TSR_ACT_Q8) {
      read_q8(out_row);
    } else {
      std::copy(x_.begin(), x_.end(), out_row.begin());
      round_factors(p_, out_row);
    }
  }

 private:
  void read_q8(std::span<double> out_row) {
    for (size_t k = 0; k < x_.size(); k += kQ8Block) {
      const double scale = quantize_dynamic(
          std::span<const float>(x_).subspan(k, kQ8Block), 127, codes_);
      for (size_t i = 0; i < kQ8Block; ++i) out_row[k + i] = codes_[i] * scale;
    }
  }

  const Linear& p_;
  std::vector<float> x_;
  std::vector<int32_t> codes_;
};

LinearShape shape_of(const Linear& p) {
  return {p.M, p.n_begin, p.n_begin + p.num_columns(), p.weight->K(),
          p.weight->K()};
}

// y[m, n] = epilogue(sum over k of x[m, k] * w[n, k]), in double.
template <typename Out>
void linear_double(const Linear& p, Out* y) {
  InputReader input(p);
  for_each_sum<double>(
      shape_of(p),
      [&](uint32_t m, std::span<double> out_row) { input.read(m, out_row); },
      [&](uint32_t n, std::span<double> out_row) {
        p.weight->decode_row(n, out_row);
        round_factors(p, out_row);
      },
      [&](uint32_t m, uint32_t n, uint32_t, double sum) {
        const size_t index = size_t{m} * p.num_columns() + (n - p.n_begin);
        y[index] = static_cast<Out>(apply_epilogue(p.epilogue, n, index, sum));
      });
}

// The same with every step rounded to f32.  Both rows are written backwards for
// the descending order.
template <typename Out>
void linear_f32(const Linear& p, Out* y) {
  InputReader input(p);
  std::vector<double> row(p.weight->K());
  const auto write = [&](std::span<float> out_row) {
    if (p.sum_order == SumOrder::kF32Descending) {
      std::reverse(row.begin(), row.end());
    }
    std::transform(row.begin(), row.end(), out_row.begin(),
                   [](double value) { return static_cast<float>(value); });
  };
  for_each_sum<float>(
      shape_of(p),
      [&](uint32_t m, std::span<float> out_row) {
        input.read(m, row);
        write(out_row);
      },
      [&](uint32_t n, std::span<float> out_row) {
        p.weight->decode_row(n, row);
        round_factors(p, row);
        write(out_row);
      },
      [&](uint32_t m, uint32_t n, uint32_t, float sum) {
        const size_t index = size_t{m} * p.num_columns() + (n - p.n_begin);
        y[index] = apply_epilogue(p.epilogue, n, index, sum);
      });
}

Status linear_any_integer(const Linear& p, float* y) {
  return linear_integer(p, y);
}

Status linear_any_integer(const Linear& p, double* y) {
  std::vector<float> rounded(size_t{p.M} * p.num_columns());
  TSR_RETURN_IF_ERROR(linear_integer(p, rounded.data()));
  std::copy(rounded.begin(), rounded.end(), y);
  return {};
}

}  // namespace

Status check_linear(const Linear& p) {
  TSR_RETURN_IF_ERROR(check_columns(p).annotate("linear"));
  TSR_RETURN_IF_ERROR(check_epilogue(p.epilogue).annotate("linear"));
  TSR_RETURN_IF_ERROR(check_mode(p).annotate("linear"));
  if (!is_integer_mode(p.act_quant)) return {};
  return check_linear_integer(p).annotate("linear");
}

template <typename Out>
Status linear(const Linear& p, Out* y) {
  TSR_RETURN_IF_ERROR(check_linear(p));
  if (is_integer_mode(p.act_quant)) {
    return linear_any_integer(p, y).annotate("linear");
  }
  if (p.sum_order == SumOrder::kDouble) {
    linear_double(p, y);
  } else {
    linear_f32(p, y);
  }
  return {};
}

Status linear_accumulators(const Linear& p, int32_t* acc) {
  TSR_RETURN_IF_ERROR(check_linear(p));
  const Epilogue& epilogue = p.epilogue;
  if (!is_integer_mode(p.act_quant) || epilogue.bias != nullptr ||
      epilogue.activation != TSR_EPILOGUE_NONE ||
      epilogue.multiplier != nullptr || epilogue.residual != nullptr) {
    return Status(TSR_INVALID_ARGUMENT,
                  "linear: no integer accumulators with act_quant " +
                      std::to_string(p.act_quant) + " or an epilogue");
  }
  return integer_accumulators(p, acc).annotate("linear");
}

Status linear_magnitudes(const Linear& p, double* out) {
  TSR_RETURN_IF_ERROR(check_linear(p));
  InputReader input(p);
  const auto make_absolute = [](std::span<double> row) {
    for (double& value : row) value = std::fabs(value);
  };
  for_each_sum<double>(
      shape_of(p),
      [&](uint32_t m, std::span<double> out_row) {
        input.read(m, out_row);
        make_absolute(out_row);
      },
      [&](uint32_t n, std::span<double> out_row) {
        p.weight->decode_row(n, out_row);
        make_absolute(out_row);
      },
      [&](uint32_t m, uint32_t n, uint32_t, double sum) {
        out[size_t{m} * p.num_columns() + (n - p.n_begin)] = sum;
      });
  return {};
}

template Status linear(const Linear&, float*);
template Status linear(const Linear&, double*);

}  // namespace tessera::reference
