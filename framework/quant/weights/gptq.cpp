// SPDX-License-Identifier: Apache-2.0
//
// The half of GPTQ that rounds.  Rows do not depend on each other, so each task
// takes a strip of them through all columns.

#include "framework/quant/weights/gptq.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "framework/format/encode_group.hpp"
#include "framework/quant/algebra/dense_product.hpp"
#include "framework/quant/weights/integer_weight.hpp"

namespace tessera::quant {
namespace {

// Columns between two updates of all that is right of them.
constexpr uint32_t kLazyColumns = 128;

// Rows of a strip: the update reads U once per strip, so more rows mean less
// traffic; fewer mean more tasks to share out.
constexpr uint32_t kStripRows = 64;

// What all strips share.
struct Job {
  const GptqOptions& options;
  const GptqFactor& factor;
  std::span<const float> values;      // [N, K]
  std::span<const float> importance;  // [K], in the factor's order
  // Scales fixed before any correction, [N, groups of natural columns] (one row
  // if per tensor); empty if groups get theirs on the way.
  std::vector<format::GroupScale> fixed;
  bool stored_in_order;  // column k of the result is the factor's column k
};

class Strip {
 public:
  Strip(const Job& job, IntegerWeight* weight, uint32_t first, uint32_t rows)
      : job_(job),
        weight_(*weight),
        K_(job.factor.K),
        first_(first),
        rows_(rows),
        work_(size_t{rows} * K_),
        block_(size_t{kLazyColumns} * rows),
        errors_(size_t{kLazyColumns} * rows),
        codes_(size_t{rows} * K_),
        scales_(rows) {
    for (uint32_t r = 0; r < rows; ++r) {
      const auto row = job.values.subspan((size_t{first} + r) * K_, K_);
      for (uint32_t k = 0; k < K_; ++k) {
        work_[size_t{r} * K_ + k] = row[job.factor.order[k]];
      }
    }
  }

  Status run() {
    for (uint32_t begin = 0; begin < K_; begin += kLazyColumns) {
      const uint32_t size = std::min(kLazyColumns, K_ - begin);
      load_block(begin, size);
      for (uint32_t i = 0; i < size; ++i) {
        TSR_RETURN_IF_ERROR(find_scales(begin, size, i));
        round_column(begin, i);
        correct_block(begin, size, i);
      }
      correct_rest(begin, size);
    }
    for (uint32_t r = 0; r < rows_; ++r) {
      weight_.set_codes(first_ + r,
                        std::span(codes_).subspan(size_t{r} * K_, K_));
    }
    return {};
  }

  double weighted_error() const { return weighted_error_; }

 private:
  // The block is kept column by column, so that loops over rows are dense.
  void load_block(uint32_t begin, uint32_t size) {
    for (uint32_t i = 0; i < size; ++i) {
      for (uint32_t r = 0; r < rows_; ++r) {
        block_[size_t{i} * rows_ + r] = work_[size_t{r} * K_ + begin + i];
      }
    }
  }

  // The scales that column begin + i is rounded with.
  Status find_scales(uint32_t begin, uint32_t size, uint32_t i) {
    const uint32_t k = begin + i;
    const uint32_t group_size = weight_.group_size();
    if (!job_.fixed.empty()) {
      const uint32_t group = job_.factor.order[k] / group_size;
      for (uint32_t r = 0; r < rows_; ++r) {
        const size_t row = weight_.scheme().per_tensor ? 0 : size_t{first_} + r;
        scales_[r] = job_.fixed[row * weight_.num_groups() + group];
      }
      return {};
    }
    if (k % group_size != 0) return {};
    const uint32_t end = std::min(k + group_size, K_);
    std::vector<float> group(end - k);
    for (uint32_t r = 0; r < rows_; ++r) {
      for (uint32_t j = k; j < end; ++j) {
        group[j - k] = j < begin + size ? block_[size_t{j - begin} * rows_ + r]
                                        : work_[size_t{r} * K_ + j];
      }
      const auto importance = job_.importance.subspan(k, end - k);
      scales_[r] =
          search_scale(weight_.scheme(), job_.options.clip, group, importance);
      TSR_RETURN_IF_ERROR(check_scale(weight_.scheme(), scales_[r])
                              .annotate("row " + std::to_string(first_ + r)));
      weight_.set_group(first_ + r, k / group_size, scales_[r]);
    }
    return {};
  }

  void round_column(uint32_t begin, uint32_t i) {
    const uint32_t k = begin + i;
    const float inverse_pivot = 1.0f / upper(k)[k];
    const uint32_t stored = job_.stored_in_order ? k : job_.factor.order[k];
    for (uint32_t r = 0; r < rows_; ++r) {
      const float value = block_[size_t{i} * rows_ + r];
      const int32_t code =
          format::integer_code(weight_.grid(), scales_[r], value);
      codes_[size_t{r} * K_ + stored] = code;
      const float error =
          (value - decode_integer(scales_[r], code)) * inverse_pivot;
      errors_[size_t{i} * rows_ + r] = error;
      weighted_error_ += double{error} * double{error};
    }
  }

  void correct_block(uint32_t begin, uint32_t size, uint32_t i) {
    const float* error = errors_.data() + size_t{i} * rows_;
    for (uint32_t j = i + 1; j < size; ++j) {
      const float share = upper(begin + i)[begin + j];
      float* column = block_.data() + size_t{j} * rows_;
      for (uint32_t r = 0; r < rows_; ++r) column[r] -= error[r] * share;
    }
  }

  void correct_rest(uint32_t begin, uint32_t size) {
    const uint32_t right = begin + size;
    add_product(
        {rows_, K_ - right, size, -1.0f, MatrixRef{errors_.data(), rows_, true},
         MatrixRef{upper(begin) + right, K_}, work_.data() + right, K_});
  }

  const float* upper(uint32_t row) const {
    return job_.factor.upper.data() + size_t{row} * K_;
  }

  const Job& job_;
  IntegerWeight& weight_;
  uint32_t K_;
  uint32_t first_;  // row of the weight
  uint32_t rows_;
  std::vector<float> work_;                 // [rows, K], in the factor's order
  std::vector<float> block_;                // [columns of the block, rows]
  std::vector<float> errors_;               // likewise, divided by U's diagonal
  std::vector<int32_t> codes_;              // [rows, K], as stored
  std::vector<format::GroupScale> scales_;  // [rows], of the current column
  double weighted_error_ = 0.0;
};

// Scales of all groups of natural columns from the weights as given, written
// to the weight.
Status fix_scales(Job* job, IntegerWeight* weight, uint32_t N,
                  const ParallelFor& run) {
  const uint32_t K = job->factor.K;
  const uint32_t groups = weight->num_groups();
  std::vector<float> importance(K);
  for (uint32_t k = 0; k < K; ++k) {
    importance[job->factor.order[k]] = job->importance[k];
  }
  const bool per_tensor = weight->scheme().per_tensor;
  const uint32_t num_rows = per_tensor ? 1 : N;
  job->fixed.resize(size_t{num_rows} * groups);
  run(num_rows, [&](uint32_t n) {
    for (uint32_t g = 0; g < groups; ++g) {
      const uint32_t begin = g * weight->group_size();
      const uint32_t size = std::min(weight->group_size(), K - begin);
      format::GroupScale& scale = job->fixed[size_t{n} * groups + g];
      scale =
          per_tensor
              ? search_scale(weight->scheme(), job->options.clip, job->values,
                             {})
              : search_scale(
                    weight->scheme(), job->options.clip,
                    job->values.subspan(size_t{n} * K + begin, size),
                    std::span<const float>(importance).subspan(begin, size));
      weight->set_group(n, g, scale);
    }
  });
  for (size_t i = 0; i < job->fixed.size(); ++i) {
    TSR_RETURN_IF_ERROR(check_scale(weight->scheme(), job->fixed[i])
                            .annotate("row " + std::to_string(i / groups)));
  }
  return {};
}

bool is_natural(std::span<const uint32_t> order) {
  return std::is_sorted(order.begin(), order.end());
}

}  // namespace

Result<GptqResult> quantize_gptq(const format::WeightScheme& scheme,
                                 const GptqOptions& options,
                                 const GptqFactor& factor, uint32_t N,
                                 std::span<const float> values,
                                 const ParallelFor& run) {
  const std::string what = "gptq";
  auto created = IntegerWeight::create(scheme, N, factor.K);
  if (!created.ok()) return std::move(created).status().annotate(what);
  IntegerWeight& weight = *created;
  TSR_RETURN_IF_ERROR(check_values(N, factor.K, values).annotate(what));

  Job job{options, factor, values, factor.diagonal, {}, false};
  const bool one_group = weight.num_groups() == 1;
  if (scheme.per_tensor || options.static_groups) {
    TSR_RETURN_IF_ERROR(fix_scales(&job, &weight, N, run).annotate(what));
  } else if (!one_group && !is_natural(factor.order)) {
    job.stored_in_order = true;
    weight.set_permutation(factor.order);
  }

  const uint32_t strips = num_pieces(N, kStripRows);
  std::vector<Status> statuses(strips);
  std::vector<double> errors(strips, 0.0);
  run(strips, [&](uint32_t s) {
    const uint32_t first = s * kStripRows;
    Strip strip(job, &weight, first, std::min(kStripRows, N - first));
    statuses[s] = strip.run();
    errors[s] = strip.weighted_error();
  });
  GptqResult result;
  for (uint32_t s = 0; s < strips; ++s) {
    TSR_RETURN_IF_ERROR(std::move(statuses[s]).annotate(what));
    result.weighted_error += errors[s];
  }
  result.weight = std::move(weight).take();
  return result;
}

}  // namespace tessera::quant
