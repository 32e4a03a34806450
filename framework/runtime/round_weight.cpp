// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/round_weight.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "framework/host/services/thread_pool.hpp"

namespace tessera {
namespace {

// Values of a piece: some milliseconds of work, little beside a weight.
constexpr uint32_t kPieceValues = 1U << 20;

// A weight cut into rows of pieces.
struct Pieces {
  const format::WeightScheme& scheme;
  uint32_t N;
  uint32_t K;
  const format::RowSource& rows;
  uint32_t rows_of_piece;
  std::vector<std::optional<format::WeightData>> done;
  std::atomic<bool> failed{false};

  static void round(void* context, uint32_t index) {
    Pieces& self = *static_cast<Pieces*>(context);
    if (self.failed.load()) return;
    const uint32_t first = index * self.rows_of_piece;
    const uint32_t count = std::min(self.rows_of_piece, self.N - first);
    Result<format::WeightData> piece = format::encode_rows(
        self.scheme, count, self.K,
        [&self, first](uint32_t n, std::span<float> out_row) {
          return self.rows(first + n, out_row);
        });
    if (piece.ok()) {
      self.done[index] = std::move(*piece);
    } else {
      self.failed.store(true);
    }
  }

  // One below the other.
  format::WeightData join() {
    format::WeightData whole = std::move(*done.front());
    whole.N = N;
    for (format::Plane& plane : whole.planes) {
      plane.owned.reserve(N * plane.row_bytes());
    }
    for (size_t i = 1; i < done.size(); ++i) {
      for (size_t p = 0; p < whole.planes.size(); ++p) {
        format::Plane& plane = whole.planes[p];
        const format::Plane& more = done[i]->planes[p];
        plane.rows += more.rows;
        plane.owned.insert(plane.owned.end(), more.owned.begin(),
                           more.owned.end());
      }
      done[i].reset();
    }
    return whole;
  }
};

}  // namespace

Result<format::WeightData> round_weight(const format::WeightScheme& scheme,
                                        uint32_t N, uint32_t K,
                                        const format::RowSource& rows,
                                        ThreadPool* pool) {
  const uint32_t rows_of_piece = std::max(1U, kPieceValues / std::max(K, 1U));
  const bool by_row = !scheme.per_tensor && scheme.format != TSR_WEIGHT_NVFP4;
  if (pool == nullptr || !by_row || N <= rows_of_piece) {
    return format::encode_rows(scheme, N, K, rows);
  }
  const uint32_t count = (N - 1) / rows_of_piece + 1;
  Pieces pieces{scheme, N, K, rows, rows_of_piece, {}};
  pieces.done.resize(count);
  pool->parallel_for(count, Pieces::round, &pieces);
  // Which row it is that fails is said of the whole.
  if (pieces.failed.load()) return format::encode_rows(scheme, N, K, rows);
  return pieces.join();
}

}  // namespace tessera
