// SPDX-License-Identifier: Apache-2.0
//
// Checks, selection, and the work divided among threads.

#include "framework/quant/sparsity/sparsify.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/quant/sparsity/importance.hpp"
#include "framework/quant/sparsity/sparsify_rows.hpp"
#include "framework/quant/weights/integer_weight.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::quant {
namespace {

constexpr uint32_t kTileRows = format::kSparseTileRows;
constexpr uint32_t kTaskRows = 64;  // of a tile that one task rounds

Status bad(const std::string& why) { return Status(TSR_INVALID_ARGUMENT, why); }

Status check_share(const std::string& step, double fraction) {
  if (fraction >= 0.0 && fraction <= 1.0) return {};
  return bad(step + ": fraction " + std::to_string(fraction) +
             " is not in [0, 1]");
}

Status check_factors(const std::string& step, std::span<const float> factors) {
  for (size_t k = 0; k < factors.size(); ++k) {
    if (std::isfinite(factors[k]) && factors[k] >= 0.0f) continue;
    return bad(step + ": importance of column " + std::to_string(k) + " is " +
               std::to_string(factors[k]));
  }
  return {};
}

uint64_t share(double fraction, uint64_t size) {
  return static_cast<uint64_t>(fraction * static_cast<double>(size));
}

Status check_protect(const ProtectOptions& options, uint32_t N,
                     std::span<const float> values,
                     std::span<const float> factors, const GptqFactor* factor) {
  const std::string step = "protect_fraction";
  TSR_RETURN_IF_ERROR(check_share(step, options.fraction));
  if (!(options.rate_weight >= 0.0 && options.rate_weight <= 1.0)) {
    return bad(step + ": rate_weight " + std::to_string(options.rate_weight) +
               " is not in [0, 1]");
  }
  const uint32_t dtype = options.scale_dtype;
  if (dtype != TSR_F32 && dtype != TSR_F16 && dtype != TSR_BF16) {
    return bad(step + ": scales of " + dtype_name(dtype) +
               ", not f32, f16 or bf16");
  }
  if (N == 0 || factors.empty() || factors.size() > UINT32_MAX) {
    return bad(step + ": a weight of " + std::to_string(N) + " x " +
               std::to_string(factors.size()));
  }
  const auto K = static_cast<uint32_t>(factors.size());
  if (factor != nullptr && factor->K != K) {
    return bad(step + ": a hessian of K=" + std::to_string(factor->K) +
               " for K=" + std::to_string(K));
  }
  TSR_RETURN_IF_ERROR(check_factors(step, factors));
  return check_values(N, K, values).annotate(step);
}

// The Hessian's diagonal in the order of the columns; ones without a factor.
std::vector<float> error_weights(uint32_t K, const GptqFactor* factor) {
  std::vector<float> weights(K, 1.0f);
  for (uint32_t j = 0; factor != nullptr && j < K; ++j) {
    weights[factor->order[j]] = factor->diagonal[j];
  }
  return weights;
}

format::Plane scale_plane(uint32_t N, uint32_t K, uint32_t dtype) {
  format::Plane plane;
  plane.role = TSR_PLANE_SCALE;
  plane.dtype = dtype;
  plane.rows = N;
  plane.cols = 1;
  plane.block_n = 1;
  plane.block_k = K;
  plane.owned.resize(N * plane.row_bytes());
  return plane;
}

// Fills in codes and scales.
Status round_weight(const SparsifyJob& job, const ParallelFor& run) {
  const uint32_t N = job.result->N;
  const uint32_t num_tile_rows = num_pieces(N, kTileRows);
  std::vector<std::optional<Result<RowBooks>>> books(num_tile_rows);
  run(num_tile_rows, [&](uint32_t i) {
    const uint32_t begin = i * kTileRows;
    books[i] = learn_books(job, begin, std::min(N - begin, kTileRows) + begin);
  });
  for (const auto& learnt : books) TSR_RETURN_IF_ERROR(learnt->status());
  run(num_pieces(N, kTaskRows), [&](uint32_t i) {
    const uint32_t begin = i * kTaskRows;
    round_rows(job, **books[begin / kTileRows], begin,
               std::min(N - begin, kTaskRows) + begin);
  });
  return {};
}

}  // namespace

Status zero_fraction(double fraction, std::span<const float> factors,
                     std::span<float> values) {
  const std::string step = "zero_fraction";
  TSR_RETURN_IF_ERROR(check_share(step, fraction));
  if (factors.empty() || values.size() % factors.size() != 0) {
    return bad(step + ": " + std::to_string(values.size()) +
               " weights in columns of K=" + std::to_string(factors.size()));
  }
  TSR_RETURN_IF_ERROR(check_factors(step, factors));
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return bad(step + ": weight " + std::to_string(i) + " is " +
               std::to_string(values[i]));
  }
  const std::vector<uint8_t> marks =
      mark_least_important(values, factors, share(fraction, values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    if (marks[i] != 0) values[i] = 0.0f;
  }
  return {};
}

format::WeightData ProtectedWeight::dense() const {
  format::Plane plane;
  plane.role = TSR_PLANE_CODES;
  plane.dtype = TSR_I8;
  plane.rows = N;
  plane.cols = K;
  plane.block_n = 1;
  plane.block_k = 1;
  const auto bytes = std::as_bytes(std::span(codes));
  plane.owned.assign(bytes.begin(), bytes.end());
  return {TSR_WEIGHT_I8, N, K, {std::move(plane), scale}};
}

Result<format::WeightData> ProtectedWeight::compressed() const {
  TSR_ASSIGN_OR_RETURN(format::SparseTiles tiles,
                       format::encode_sparse_fixed(N, K, codes));
  return format::sparse_fixed_weight(std::move(tiles), scale);
}

Result<ProtectedWeight> protect_fraction(const ProtectOptions& options,
                                         uint32_t N,
                                         std::span<const float> values,
                                         std::span<const float> factors,
                                         const GptqFactor* factor,
                                         const ParallelFor& run) {
  TSR_RETURN_IF_ERROR(check_protect(options, N, values, factors, factor));
  ProtectedWeight result;
  result.N = N;
  result.K = static_cast<uint32_t>(factors.size());
  result.codes.resize(values.size());
  result.scale = scale_plane(N, result.K, options.scale_dtype);
  result.num_protected = share(options.fraction, values.size());
  result.is_protected =
      mark_most_important(values, factors, result.num_protected);
  const std::vector<float> weights = error_weights(result.K, factor);
  TSR_RETURN_IF_ERROR(
      round_weight({options, values, weights, factor, &result}, run)
          .annotate("protect_fraction"));
  return result;
}

}  // namespace tessera::quant
