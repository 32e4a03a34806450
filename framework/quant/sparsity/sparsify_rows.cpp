// SPDX-License-Identifier: Apache-2.0
//
// Books and scales in turn; then nearest codes, or GPTQ's walk over columns.

#include "framework/quant/sparsity/sparsify_rows.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "framework/format/element.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/quant/algebra/dense_product.hpp"

namespace tessera::quant {
namespace {

// Where the grid ends before scales are searched: at 2.4 times the root mean
// square, which leaves about 1.6 % of a normal distribution outside, and at
// code 48, so that codes reach 2.6 times as far for protected weights.
constexpr float kGridEnd = 2.4f;
constexpr float kGridEndCode = 48.0f;
constexpr float kMaxCode = 127.0f;
constexpr int kPasses = 3;
constexpr float kTiny = 0x1p-100f;  // below which a row counts as zero

// Candidates for a scale, as multiples of the last one.
constexpr std::array<float, 13> kFactors = {1.0f,  0.7f,  0.76f, 0.82f, 0.88f,
                                            0.92f, 0.96f, 1.04f, 1.08f, 1.12f,
                                            1.18f, 1.24f, 1.3f};

constexpr uint32_t kBlockCols = 128;  // whose errors are moved on lazily

float protected_code(float ratio) {
  return round_small(std::clamp(ratio, -kMaxCode, kMaxCode));
}

// One row of W, of those that share books.
struct Row {
  const float* values;
  const uint8_t* is_protected;
};

Row row_of(const SparsifyJob& job, uint32_t n) {
  const size_t first = size_t{n} * job.result->K;
  return {&job.values[first], &job.result->is_protected[first]};
}

float initial_scale(const Row& row, uint32_t K) {
  double squares = 0.0;
  uint32_t count = 0;
  float amax = 0.0f;
  for (uint32_t k = 0; k < K; ++k) {
    amax = std::max(amax, std::fabs(row.values[k]));
    if (row.is_protected[k] != 0) continue;
    squares += double{row.values[k]} * double{row.values[k]};
    ++count;
  }
  if (amax < kTiny) return 1.0f;
  const auto rms = static_cast<float>(std::sqrt(squares / std::max(1U, count)));
  return rms < kTiny ? amax / kMaxCode : kGridEnd * rms / kGridEndCode;
}

// What is lost in a row: weighted squared error, and bits at the price that the
// scale `priced` gives them.
double row_cost(const SparsifyJob& job, const RowBooks& books, const Row& row,
                float scale, float priced) {
  const float inverse = 1.0f / scale;
  double cost = 0.0;
  for (uint32_t k = 0; k < job.result->K; ++k) {
    const float ratio = row.values[k] * inverse;
    float code = protected_code(ratio);
    float price = 0.0f;
    if (row.is_protected[k] == 0) {
      const LevelBook& book = books[k / format::kSparseTileCols];
      const size_t bin = book_bin(ratio);
      code = book.level_of(bin);
      price = book.price_of(bin);
    }
    const double miss = double{ratio - code} * double{scale};
    cost += double{job.error_weight[k]} *
            (miss * miss + double{price} * double{priced} * double{priced});
  }
  return cost;
}

float search_scale(const SparsifyJob& job, const RowBooks& books,
                   const Row& row, float scale) {
  float best = scale;
  double least = row_cost(job, books, row, scale, scale);
  for (const float factor : kFactors) {
    const double cost = row_cost(job, books, row, scale * factor, scale);
    if (cost >= least) continue;
    least = cost;
    best = scale * factor;
  }
  return best;
}

// Learns the book of tile column `tile` of the rows from n_begin.
void learn_book(const SparsifyJob& job, uint32_t tile, uint32_t n_begin,
                std::span<const float> scales, LevelBook& book) {
  BookHistogram histogram;
  const uint32_t k_begin = tile * format::kSparseTileCols;
  const uint32_t k_end =
      std::min(job.result->K, k_begin + format::kSparseTileCols);
  for (uint32_t r = 0; r < scales.size(); ++r) {
    const Row row = row_of(job, n_begin + r);
    const double square = double{scales[r]} * double{scales[r]};
    for (uint32_t k = k_begin; k < k_end; ++k) {
      if (row.is_protected[k] != 0) continue;
      const size_t bin = book_bin(row.values[k] / scales[r]);
      histogram.count[bin] += 1.0;
      histogram.weight[bin] += square * double{job.error_weight[k]};
    }
  }
  book.learn(histogram, job.options.rate_weight);
}

// The scale as its type holds it.
Result<float> store_scale(format::Plane& plane, uint32_t n, float scale) {
  format::set_element_value(plane.dtype, plane.mutable_row(n), 0, scale);
  const auto stored =
      static_cast<float>(format::element_value(plane.dtype, plane.row(n), 0));
  if (stored > 0.0f && std::isfinite(stored)) return stored;
  return Status(TSR_INVALID_ARGUMENT, "row " + std::to_string(n) + ": scale " +
                                          std::to_string(scale) +
                                          " does not fit its type");
}

float stored_scale(const SparsifyJob& job, uint32_t n) {
  const format::Plane& plane = job.result->scale;
  return static_cast<float>(
      format::element_value(plane.dtype, plane.row(n), 0));
}

// Rows of W in GPTQ's order of columns, with their codes.
class ColumnWalk {
 public:
  ColumnWalk(const SparsifyJob& job, const RowBooks& books, uint32_t n_begin,
             uint32_t n_end)
      : job_(job),
        books_(books),
        n_begin_(n_begin),
        rows_(n_end - n_begin),
        K_(job.result->K),
        left_(size_t{rows_} * K_),
        errors_(size_t{rows_} * kBlockCols) {
    for (uint32_t r = 0; r < rows_; ++r) {
      const Row row = row_of(job, n_begin + r);
      for (uint32_t j = 0; j < K_; ++j) {
        left_[size_t{r} * K_ + j] = row.values[job.factor->order[j]];
      }
    }
  }

  void run() {
    for (uint32_t begin = 0; begin < K_; begin += kBlockCols) {
      const uint32_t end = std::min(K_, begin + kBlockCols);
      for (uint32_t r = 0; r < rows_; ++r) round_block(r, begin, end);
      if (end < K_) move_errors_on(begin, end);
    }
  }

 private:
  void round_block(uint32_t r, uint32_t begin, uint32_t end) {
    const uint32_t n = n_begin_ + r;
    const float scale = stored_scale(job_, n);
    float* const left = &left_[size_t{r} * K_];
    for (uint32_t j = begin; j < end; ++j) {
      const uint32_t k = job_.factor->order[j];
      const size_t place = size_t{n} * K_ + k;
      const float ratio = left[j] / scale;
      const float code =
          job_.result->is_protected[place] != 0
              ? protected_code(ratio)
              : books_[k / format::kSparseTileCols].level_of(book_bin(ratio));
      job_.result->codes[place] = static_cast<int8_t>(code);
      const float* const upper = &job_.factor->upper[size_t{j} * K_];
      const float error = (left[j] - code * scale) / upper[j];
      errors_[size_t{r} * kBlockCols + j - begin] = error;
      for (uint32_t i = j + 1; i < end; ++i) left[i] -= error * upper[i];
    }
  }

  void move_errors_on(uint32_t begin, uint32_t end) {
    DenseProduct p{};
    p.M = rows_;
    p.N = K_ - end;
    p.K = end - begin;
    p.alpha = -1.0f;
    p.a = {errors_.data(), kBlockCols};
    p.b = {&job_.factor->upper[size_t{begin} * K_ + end], K_};
    p.c = &left_[end];
    p.c_stride = K_;
    add_product(p);
  }

  const SparsifyJob& job_;
  const RowBooks& books_;
  uint32_t n_begin_;
  uint32_t rows_;
  uint32_t K_;                 // NOLINT(*-naming): as in the formula
  std::vector<float> left_;    // [rows, K], what is still to be rounded
  std::vector<float> errors_;  // [rows, kBlockCols]
};

void round_to_nearest(const SparsifyJob& job, const RowBooks& books,
                      uint32_t n) {
  const Row row = row_of(job, n);
  const float scale = stored_scale(job, n);
  int8_t* const codes = &job.result->codes[size_t{n} * job.result->K];
  for (uint32_t k = 0; k < job.result->K; ++k) {
    const float ratio = row.values[k] / scale;
    codes[k] = static_cast<int8_t>(
        row.is_protected[k] != 0
            ? protected_code(ratio)
            : books[k / format::kSparseTileCols].level_of(book_bin(ratio)));
  }
}

}  // namespace

Result<RowBooks> learn_books(const SparsifyJob& job, uint32_t n_begin,
                             uint32_t n_end) {
  const uint32_t K = job.result->K;
  std::vector<float> scales;
  for (uint32_t n = n_begin; n < n_end; ++n) {
    scales.push_back(initial_scale(row_of(job, n), K));
  }
  RowBooks books((K - 1) / format::kSparseTileCols + 1);
  const bool learns = job.options.grid == SparseGrid::kBook;
  for (int pass = 0; pass < kPasses; ++pass) {
    for (uint32_t tile = 0; learns && tile < books.size(); ++tile) {
      learn_book(job, tile, n_begin, scales, books[tile]);
      if (pass == kPasses - 1) books[tile].round_levels();
    }
    for (uint32_t r = 0; r < scales.size(); ++r) {
      scales[r] = search_scale(job, books, row_of(job, n_begin + r), scales[r]);
    }
  }
  for (uint32_t r = 0; r < scales.size(); ++r) {
    TSR_RETURN_IF_ERROR(
        store_scale(job.result->scale, n_begin + r, scales[r]).status());
  }
  return books;
}

void round_rows(const SparsifyJob& job, const RowBooks& books, uint32_t n_begin,
                uint32_t n_end) {
  if (job.factor != nullptr) {
    ColumnWalk(job, books, n_begin, n_end).run();
    return;
  }
  for (uint32_t n = n_begin; n < n_end; ++n) round_to_nearest(job, books, n);
}

}  // namespace tessera::quant
