// SPDX-License-Identifier: Apache-2.0
//
// Grids of scales, each judged by the outputs it gives.

#include "framework/quant/outliers/scale_search.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "framework/quant/activations/static_activation.hpp"
#include "framework/quant/algebra/dense_product.hpp"
#include "framework/quant/weights/integer_weight.hpp"

namespace tessera::quant {
namespace {

using format::GroupScale;
using format::Range;

// Rows of a weight that one task rounds.
constexpr uint32_t kTaskRows = 64;

Status check_problem(const ScaleProblem& problem) {
  if (problem.linears.empty()) {
    return Status(TSR_INVALID_ARGUMENT, "no linears to scale");
  }
  const uint32_t K = problem.linears[0]->K;
  for (const FloatLinear* linear : problem.linears) {
    const auto weight =
        IntegerWeight::create(problem.weight_scheme, linear->N, linear->K);
    if (!weight.ok()) return weight.status();
    if (linear->K != K || linear->weight.size() != size_t{linear->N} * K) {
      return Status(TSR_INVALID_ARGUMENT, "K=" + std::to_string(linear->K) +
                                              " and K=" + std::to_string(K) +
                                              " do not share an input");
    }
  }
  if (!problem.channels.empty() && problem.channels.size() != K) {
    return Status(TSR_INVALID_ARGUMENT,
                  std::to_string(problem.channels.size()) +
                      " channels for K=" + std::to_string(K));
  }
  if (problem.rows.empty() || problem.rows.size() % K != 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  "a sample of " + std::to_string(problem.rows.size()) +
                      " activations is no rows of K=" + std::to_string(K));
  }
  return check_values(static_cast<uint32_t>(problem.rows.size() / K), K,
                      problem.rows)
      .annotate("sample");
}

std::vector<uint32_t> channels_of(const ScaleProblem& problem) {
  if (!problem.channels.empty()) {
    return {problem.channels.begin(), problem.channels.end()};
  }
  std::vector<uint32_t> identity(problem.linears[0]->K);
  std::iota(identity.begin(), identity.end(), 0U);
  return identity;
}

void round_input(const ScaleProblem& problem, const StaticActivation& fixed,
                 std::span<float> row) {
  StaticActivation rule = fixed;
  if (problem.inputs == InputRounding::kPerToken) {
    float amax = 0.0f;
    for (const float x : row) amax = std::max(amax, std::fabs(x));
    if (amax < 0x1p-100f) {
      std::fill(row.begin(), row.end(), 0.0f);
      return;
    }
    const auto max_code = static_cast<float>(problem.max_input_code);
    rule.scale = amax * (1.0f / max_code);
    rule.inv = max_code / amax;
    rule.hi = problem.max_input_code;
    rule.lo = -rule.hi;
  }
  for (float& x : row) {
    const float code =
        std::clamp(std::nearbyint(x * rule.inv), static_cast<float>(rule.lo),
                   static_cast<float>(rule.hi));
    x = rule.scale * code;
  }
}

// X / s, rounded as the problem says.
std::vector<float> scaled_inputs(const ScaleProblem& problem,
                                 std::span<const float> columns) {
  const size_t K = columns.size();
  std::vector<float> inputs(problem.rows.begin(), problem.rows.end());
  float amax = 0.0f;
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] /= columns[i % K];
    amax = std::max(amax, std::fabs(inputs[i]));
  }
  if (problem.inputs == InputRounding::kNone) return inputs;
  const StaticActivation fixed =
      static_activation(ActivationCodes::kSymmetricS8, -amax, amax);
  for (size_t begin = 0; begin < inputs.size(); begin += K) {
    round_input(problem, fixed, std::span<float>(inputs).subspan(begin, K));
  }
  return inputs;
}

// One linear's columns times s, rounded.
class RoundedRows {
 public:
  RoundedRows(const ScaleProblem& problem, const FloatLinear& linear,
              std::span<const float> columns)
      : problem_(problem),
        linear_(linear),
        columns_(columns),
        group_size_(problem.weight_scheme.group_size == 0
                        ? linear.K
                        : problem.weight_scheme.group_size) {
    if (!problem.weight_scheme.per_tensor) return;
    Range range;
    std::vector<float> row(linear.K);
    for (uint32_t n = 0; n < linear.N; ++n) {
      load(n, row);
      range = format::merge(range, format::range_of(row));
    }
    whole_ = format::choose_integer_scale(problem.weight_scheme, range);
  }

  // Decoded values of row n, still times s.
  Status round(uint32_t n, std::span<float> out_row) const {
    load(n, out_row);
    const format::WeightScheme& scheme = problem_.weight_scheme;
    const format::IntegerGrid grid = format::integer_grid(scheme);
    for (size_t k = 0; k < out_row.size(); k += group_size_) {
      const auto group =
          out_row.subspan(k, std::min<size_t>(group_size_, out_row.size() - k));
      const GroupScale scale =
          scheme.per_tensor ? whole_
                            : search_scale(scheme, problem_.clip, group, {});
      TSR_RETURN_IF_ERROR(
          check_scale(scheme, scale).annotate("row " + std::to_string(n)));
      for (float& value : group) {
        value = decode_integer(scale, format::integer_code(grid, scale, value));
      }
    }
    return {};
  }

 private:
  void load(uint32_t n, std::span<float> out_row) const {
    const float* row = linear_.weight.data() + size_t{n} * linear_.K;
    for (size_t k = 0; k < out_row.size(); ++k) {
      out_row[k] = row[k] * columns_[k];
    }
  }

  const ScaleProblem& problem_;
  const FloatLinear& linear_;
  std::span<const float> columns_;
  uint32_t group_size_;
  GroupScale whole_;
};

// Sum over the sample and rows first .. first + count - 1 of a linear of
// (rounded output - output)^2.
Result<double> squared_error(const ScaleProblem& problem,
                             const FloatLinear& linear,
                             const RoundedRows& rounded,
                             std::span<const float> columns,
                             std::span<const float> inputs, uint32_t first) {
  const uint32_t K = linear.K;
  const uint32_t count = std::min(kTaskRows, linear.N - first);
  const uint64_t M = problem.rows.size() / K;
  const bool exact_inputs = problem.inputs == InputRounding::kNone;
  const float* original = linear.weight.data() + size_t{first} * K;
  std::vector<float> weights(size_t{count} * K);
  for (uint32_t n = 0; n < count; ++n) {
    const auto row = std::span<float>(weights).subspan(size_t{n} * K, K);
    TSR_RETURN_IF_ERROR(rounded.round(first + n, row));
    if (!exact_inputs) continue;
    // With exact inputs the difference of the weights is enough, and sharper.
    for (uint32_t k = 0; k < K; ++k) {
      row[k] = row[k] / columns[k] - original[size_t{n} * K + k];
    }
  }
  std::vector<float> outputs(M * count, 0.0f);
  const float* left = exact_inputs ? problem.rows.data() : inputs.data();
  add_product({M, count, K, 1.0f, MatrixRef{left, K},
               MatrixRef{weights.data(), K, true}, outputs.data(), count});
  if (!exact_inputs) {
    add_product({M, count, K, -1.0f, MatrixRef{problem.rows.data(), K},
                 MatrixRef{original, K, true}, outputs.data(), count});
  }
  double sum = 0.0;
  for (const float error : outputs) sum += double{error} * double{error};
  return sum;
}

Result<double> linear_error(const ScaleProblem& problem,
                            const FloatLinear& linear,
                            std::span<const float> columns,
                            std::span<const float> inputs,
                            const ParallelFor& run) {
  const RoundedRows rounded(problem, linear, columns);
  const uint32_t tasks = num_pieces(linear.N, kTaskRows);
  std::vector<Status> statuses(tasks);
  std::vector<double> sums(tasks, 0.0);
  run(tasks, [&](uint32_t task) {
    auto sum = squared_error(problem, linear, rounded, columns, inputs,
                             task * kTaskRows);
    if (sum.ok()) {
      sums[task] = *sum;
    } else {
      statuses[task] = sum.status();
    }
  });
  for (Status& status : statuses) TSR_RETURN_IF_ERROR(std::move(status));
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// As scaled_output_error, of a checked problem.
Result<double> error_of(const ScaleProblem& problem, std::span<const float> s,
                        const ParallelFor& run) {
  const std::vector<float> columns = spread_channels(channels_of(problem), s);
  const std::vector<float> inputs = scaled_inputs(problem, columns);
  double sum = 0.0;
  double outputs = 0.0;
  for (const FloatLinear* linear : problem.linears) {
    TSR_ASSIGN_OR_RETURN(const double part,
                         linear_error(problem, *linear, columns, inputs, run));
    sum += part;
    outputs += linear->N;
  }
  const size_t num_rows = problem.rows.size() / columns.size();
  return sum / outputs / static_cast<double>(num_rows);
}

// Keeps the best of the scales it is shown.
class Best {
 public:
  Best(const ScaleProblem& problem, const ParallelFor& run)
      : problem_(problem), run_(run) {}

  // Scales of 1: what any other choice must beat.
  Status start(size_t num_channels) {
    choice_.s.assign(num_channels, 1.0f);
    TSR_ASSIGN_OR_RETURN(choice_.error, error_of(problem_, choice_.s, run_));
    choice_.plain_error = choice_.error;
    return {};
  }

  Status show(std::vector<float> s, double alpha, double beta) {
    TSR_ASSIGN_OR_RETURN(const double error, error_of(problem_, s, run_));
    if (!(error < choice_.error)) return {};
    choice_.s = std::move(s);
    choice_.alpha = alpha;
    choice_.beta = beta;
    choice_.error = error;
    return {};
  }

  const ScaleChoice& choice() const { return choice_; }

 private:
  const ScaleProblem& problem_;
  const ParallelFor& run_;
  ScaleChoice choice_;
};

// Per channel, from figures per column.
Result<std::vector<float>> merge(const ScaleProblem& problem,
                                 std::span<const float> per_column) {
  if (per_column.size() != problem.linears[0]->K) {
    return Status(TSR_INVALID_ARGUMENT,
                  std::to_string(per_column.size()) +
                      " activation figures for K=" +
                      std::to_string(problem.linears[0]->K));
  }
  for (size_t k = 0; k < per_column.size(); ++k) {
    if (std::isfinite(per_column[k]) && per_column[k] >= 0.0f) continue;
    return Status(TSR_INVALID_ARGUMENT, "activation figure of column " +
                                            std::to_string(k) + " is " +
                                            std::to_string(per_column[k]));
  }
  return merge_columns(channels_of(problem), per_column);
}

std::vector<float> awq_scales(std::span<const float> means, double ratio) {
  constexpr double kSmallestScale = 1e-4;
  std::vector<double> s;
  s.reserve(means.size());
  for (const float mean : means) {
    s.push_back(std::max(std::pow(double{mean}, ratio), kSmallestScale));
  }
  const auto [low, high] = std::minmax_element(s.begin(), s.end());
  const double centre = std::sqrt(*low * *high);
  std::vector<float> scales;
  scales.reserve(s.size());
  for (const double value : s) {
    scales.push_back(static_cast<float>(value / centre));
  }
  return scales;
}

}  // namespace

Result<double> scaled_output_error(const ScaleProblem& problem,
                                   std::span<const float> s,
                                   const ParallelFor& run) {
  TSR_RETURN_IF_ERROR(check_problem(problem));
  return error_of(problem, s, run);
}

Result<ScaleChoice> search_awq(const ScaleProblem& problem,
                               std::span<const float> mean_abs,
                               const ParallelFor& run) {
  constexpr int kRatios = 20;
  TSR_RETURN_IF_ERROR(check_problem(problem).annotate("awq"));
  TSR_ASSIGN_OR_RETURN(const std::vector<float> means,
                       merge(problem, mean_abs).annotate("awq"));
  Best best(problem, run);
  TSR_RETURN_IF_ERROR(best.start(means.size()));
  // Ratio 0 is scales of 1.
  for (int i = 1; i < kRatios; ++i) {
    const double ratio = double{1} * i / kRatios;
    TSR_RETURN_IF_ERROR(best.show(awq_scales(means, ratio), ratio, 0.0));
  }
  return best.choice();
}

Result<ScaleChoice> search_flex_smooth(const ScaleProblem& problem,
                                       std::span<const float> activation_max,
                                       const ParallelFor& run) {
  TSR_RETURN_IF_ERROR(check_problem(problem).annotate("flex smooth"));
  TSR_ASSIGN_OR_RETURN(const std::vector<float> activations,
                       merge(problem, activation_max).annotate("flex smooth"));
  const std::vector<float> weights =
      merge_columns(channels_of(problem), weight_column_max(problem.linears));
  Best best(problem, run);
  TSR_RETURN_IF_ERROR(best.start(activations.size()));
  const auto show = [&](int alpha_percent, int beta_percent) -> Status {
    if (std::min(alpha_percent, beta_percent) < 0 ||
        std::max(alpha_percent, beta_percent) > 100) {
      return {};
    }
    const SmoothExponents exponents{alpha_percent / 100.0,
                                    beta_percent / 100.0};
    return best.show(smooth_scales(exponents, activations, weights),
                     exponents.alpha, exponents.beta);
  };
  for (int alpha = 0; alpha <= 100; alpha += 25) {
    for (int beta = 0; beta <= 100; beta += 25) {
      TSR_RETURN_IF_ERROR(show(alpha, beta));
    }
  }
  const int alpha = static_cast<int>(std::lround(best.choice().alpha * 100.0));
  const int beta = static_cast<int>(std::lround(best.choice().beta * 100.0));
  for (int da = -10; da <= 10; da += 5) {
    for (int db = -10; db <= 10; db += 5) {
      if (da == 0 && db == 0) continue;
      TSR_RETURN_IF_ERROR(show(alpha + da, beta + db));
    }
  }
  return best.choice();
}

}  // namespace tessera::quant
