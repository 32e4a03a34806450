// SPDX-License-Identifier: Apache-2.0
//
// Integer attention (fa3) exactly as numerics.md section 2 has it, a template
// over the vector type V and the integer products N.
//
// Keys are gone through twice: for the maximum of each row, then for the codes
// P of the probabilities, their sum and P V.  All sums are exact, so no order
// matters.

#pragma once

#include "backends/cpu/kernels/attention/key_tile.hpp"
#include "backends/cpu/kernels/attention/products/integer_products.hpp"
#include "backends/cpu/kernels/attention/products/strips.hpp"
#include "backends/cpu/kernels/attention/visible_keys.hpp"
#include "backends/cpu/kernels/ops/simd_row.hpp"

namespace tessera::cpu {

// Rows of int8 operands are padded with zeros to a multiple of this.
constexpr int64_t kIntegerStep = 64;

template <typename V, typename N>
class IntegerAttention {
 public:
  static void prepare(const AttentionWork& work) {
    IntegerAttention self(work);
    self.find_maxima();
    for (int64_t r = 0; r < work.num_rows; ++r) {
      self.partial(work.chunk, r)[self.dim_] = self.max_[r];
    }
  }

  static void run(const AttentionWork& work) {
    IntegerAttention self(work);
    if (work.num_chunks == 1) {
      self.find_maxima();
    } else {
      self.load_queries();
      self.collect_maxima();
    }
    self.add_all_keys();
    self.finish();
  }

  static void combine(const AttentionWork& work) {
    const IntegerAttention self(work);
    for (int64_t r = 0; r < work.num_rows; ++r) {
      int32_t* sum = self.partial(0, r);
      for (int64_t c = 1; c < work.num_chunks; ++c) {
        const int32_t* other = self.partial(c, r);
        for (int64_t d = 0; d < self.head_dim_; ++d) sum[d] += other[d];
        sum[self.dim_ + 1] += other[self.dim_ + 1];
      }
      self.write_row(r, sum, sum[self.dim_ + 1]);
    }
  }

 private:
  explicit IntegerAttention(const AttentionWork& work)
      : work_(work),
        head_dim_(work.op->kv.head_dim),
        dim_(padded_dim(head_dim_)),
        step_dim_((head_dim_ + kIntegerStep - 1) / kIntegerStep *
                  kIntegerStep) {
    auto* next = reinterpret_cast<std::byte*>(work.scratch);
    const auto take = [&next](int64_t bytes) {
      std::byte* begin = next;
      next += bytes;
      return begin;
    };
    sums_ = reinterpret_cast<int32_t*>(take(kRowTile * step_dim_ * 4));
    scores_ = reinterpret_cast<int32_t*>(take(kRowTile * kKeyTile * 4));
    max_ = reinterpret_cast<int32_t*>(take(kRowTile * 4));
    totals_ = reinterpret_cast<int32_t*>(take(kRowTile * 4));
    q_ = reinterpret_cast<int8_t*>(take(kRowTile * step_dim_));
    packed_ = reinterpret_cast<int8_t*>(take(kKeyTile * step_dim_ + 256));
    if constexpr (kInStrips) {
      packed_values_ = reinterpret_cast<int8_t*>(take(kKeyTile * step_dim_));
    }
    codes_ = reinterpret_cast<uint8_t*>(take(kRowTile * kKeyTile));
    thresholds_ =
        reinterpret_cast<int32_t*>(take(kRowTile * kPreparedThresholds * 4));
  }

  // Whether N takes many rows strip by strip and other work between its steps.
  static constexpr bool kInStrips = requires { N::kStripRows; };

  int32_t* partial(int64_t chunk, int64_t r) const {
    const int64_t row = chunk * work_.num_rows + r;
    return reinterpret_cast<int32_t*>(work_.partials) +
           row * partial_row_words(head_dim_);
  }

  int64_t head_of(int64_t r) const {
    const int64_t group = work_.op->num_q_heads / work_.op->kv.num_kv_heads;
    return work_.kv_head * group + (work_.row_begin + r) % group;
  }
  int64_t token_of(int64_t r) const {
    const int64_t group = work_.op->num_q_heads / work_.op->kv.num_kv_heads;
    return work_.op->q_starts[work_.seq] + (work_.row_begin + r) / group;
  }

  // What a distance of 1 takes off the logarithm of a probability, nearly.
  float exponent_of(int64_t head) const {
    const Attention& op = *work_.op;
    return op.kv_scale[work_.kv_head] * op.scale / op.q_inv[head];
  }

  // q = clamp(rne(RN(x * inv)), -127, 127).
  void load_queries() {
    const Attention& op = *work_.op;
    for (int64_t r = 0; r < work_.num_rows; ++r) {
      int8_t* to = q_ + r * step_dim_;
      for (int64_t d = 0; d < step_dim_; ++d) to[d] = 0;
      const auto inv = V::set1(op.q_inv[head_of(r)]);
      const SimdRow<V> row =
          SimdRow<V>(op.q, op.dtype)
              .at(token_of(r) * op.q_stride + head_of(r) * head_dim_);
      for (int64_t d = 0; d < head_dim_; d += V::kLanes) {
        const int64_t left = head_dim_ - d;
        const int n = static_cast<int>(left < V::kLanes ? left : V::kLanes);
        auto x = V::mul(row.load(d, n), inv);
        x = V::min(V::max(x, V::set1(-127.0f)), V::set1(127.0f));
        V::template store_n<TSR_I8>(to, d, x, n);
      }
      N::offset_query(to, step_dim_);
    }
  }

  void find_tile(int64_t first, KeyTile* out_tile) const {
    const int64_t left = work_.key_end - first;
    find_keys(work_, first, static_cast<int>(left < kKeyTile ? left : kKeyTile),
              out_tile);
  }

  // The next tile is fetched while `body` has this one: blocks lie anywhere, so
  // the hardware does not foresee them.
  template <bool kNeedsValues, typename Body>
  void for_key_tiles(const Body& body) const {
    KeyTile tiles[2];
    if (work_.key_begin < work_.key_end) find_tile(work_.key_begin, &tiles[0]);
    int at = 0;
    for (int64_t k = work_.key_begin; k < work_.key_end; k += kKeyTile) {
      const KeyTile& keys = tiles[at];
      at = 1 - at;
      if (k + kKeyTile < work_.key_end) {
        find_tile(k + kKeyTile, &tiles[at]);
        fetch(tiles[at].k);
        if constexpr (kNeedsValues) fetch(tiles[at].v);
      }
      body(keys);
    }
  }
  // Inlined, else g++ takes it for a function without effect.
  [[gnu::always_inline]] void fetch(const std::byte* const* rows) const {
    for (int64_t i = 0; i < kKeyTile; ++i) {
      for (int64_t d = 0; d < head_dim_; d += 64) V::prefetch(rows[i] + d);
    }
  }

  IntegerShape shape_of(const KeyTile& keys, int64_t rows) const {
    return {static_cast<int>(rows), keys.num_keys, head_dim_, step_dim_};
  }

  // Scores of a tile, then weigh(begin, end) for all its rows, then the sums of
  // its values by their codes if kSums.
  template <bool kSums, typename Weigh>
  void add_keys(const KeyTile& keys, const Weigh& weigh) {
    if constexpr (kInStrips) {
      if (work_.num_rows > N::kFewRowsLimit) {
        return add_in_strips<kSums>(keys, weigh);
      }
    }
    const IntegerShape shape = shape_of(keys, work_.num_rows);
    products_.scores(shape, q_, keys.k, packed_, scores_);
    weigh(int64_t{0}, work_.num_rows);
    if constexpr (kSums) {
      products_.add_values(shape, codes_, keys.v, packed_, sums_);
    }
  }

  template <bool kSums, typename Weigh>
  void add_in_strips(const KeyTile& keys, const Weigh& weigh) {
    const IntegerShape all = shape_of(keys, work_.num_rows);
    N::pack_all_keys(all, keys.k, packed_);
    if constexpr (kSums) N::pack_all_values(all, keys.v, packed_values_);
    const auto scores = [&](int first, int rows, const auto& between) {
      products_.packed_scores(shape_of(keys, rows), q_ + first * step_dim_,
                              packed_, scores_ + first * kKeyTile, between);
    };
    if constexpr (kSums) {
      in_strips<N::kStripRows>(all.num_rows, scores, weigh,
                               [&](int first, int rows, const auto& between) {
                                 products_.add_packed_values(
                                     shape_of(keys, rows),
                                     codes_ + first * kKeyTile, packed_values_,
                                     sums_ + first * step_dim_, between);
                               });
    } else {
      in_strips<N::kStripRows>(all.num_rows, scores, weigh,
                               [](int, int, const auto&) {});
    }
  }

  // Keys of the tile that row r sees, as a range of indices.
  VisibleKeys seen_in(const KeyTile& keys, int64_t r) const {
    VisibleKeys seen = visible_keys(*work_.op, work_.seq, work_.row_begin + r);
    seen.begin = seen.begin > keys.first ? seen.begin - keys.first : 0;
    seen.end = seen.end - keys.first;
    if (seen.end > keys.num_keys) seen.end = keys.num_keys;
    return seen;
  }

  void find_maxima() {
    load_queries();
    for (int64_t r = 0; r < work_.num_rows; ++r) max_[r] = INT32_MIN;
    for_key_tiles<false>([&](const KeyTile& keys) {
      add_keys<false>(keys, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) raise_maximum(keys, r);
      });
    });
  }

  void raise_maximum(const KeyTile& keys, int64_t r) {
    const VisibleKeys seen = seen_in(keys, r);
    const int32_t m =
        N::max_of(scores_ + r * kKeyTile, static_cast<int>(seen.begin),
                  static_cast<int>(seen.end));
    max_[r] = m > max_[r] ? m : max_[r];
  }

  void collect_maxima() {
    for (int64_t r = 0; r < work_.num_rows; ++r) {
      max_[r] = partial(0, r)[dim_];
      for (int64_t c = 1; c < work_.num_chunks; ++c) {
        const int32_t m = partial(c, r)[dim_];
        max_[r] = m > max_[r] ? m : max_[r];
      }
    }
  }

  void add_all_keys() {
    for (int64_t r = 0; r < work_.num_rows; ++r) {
      N::prepare_thresholds(work_.op->thresholds + head_of(r) * kNumThresholds,
                            exponent_of(head_of(r)),
                            thresholds_ + r * kPreparedThresholds);
      totals_[r] = 0;
      for (int64_t d = 0; d < step_dim_; ++d) sums_[r * step_dim_ + d] = 0;
    }
    for_key_tiles<true>([&](const KeyTile& keys) {
      add_keys<true>(keys, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) encode(keys, r);
      });
    });
  }

  // Codes of the probabilities of row r; 0 for what it does not see.
  void encode(const KeyTile& keys, int64_t r) {
    uint8_t* codes = codes_ + r * kKeyTile;
    const VisibleKeys seen = seen_in(keys, r);
    N::encode(thresholds_ + r * kPreparedThresholds, max_[r],
              scores_ + r * kKeyTile, codes);
    for (int64_t i = 0; i < kKeyTile && i < seen.begin; ++i) codes[i] = 0;
    for (int64_t i = seen.end > 0 ? seen.end : 0; i < kKeyTile; ++i) {
      codes[i] = 0;
    }
    totals_[r] += N::sum_of(codes);
  }

  void finish() const {
    for (int64_t r = 0; r < work_.num_rows; ++r) {
      const int32_t* sums = sums_ + r * step_dim_;
      if (work_.num_chunks == 1) {
        write_row(r, sums, totals_[r]);
        continue;
      }
      int32_t* to = partial(work_.chunk, r);
      for (int64_t d = 0; d < head_dim_; ++d) to[d] = sums[d];
      to[dim_ + 1] = totals_[r];
    }
  }

  // o = RN(f32(sum) * RN(scale_v / f32(total))).
  void write_row(int64_t r, const int32_t* sums, int32_t total) const {
    const Attention& op = *work_.op;
    const float scale_v = op.kv_scale[op.kv.num_kv_heads + work_.kv_head];
    const float factor = scale_v / static_cast<float>(total);
    const SimdRowOut<V> row =
        SimdRowOut<V>(op.out, op.dtype)
            .at(token_of(r) * op.out_stride + head_of(r) * head_dim_);
    for (int64_t d = 0; d < head_dim_; d += V::kLanes) {
      const int64_t left = head_dim_ - d;
      const int n = static_cast<int>(left < V::kLanes ? left : V::kLanes);
      float x[V::kLanes];
      N::to_float(sums + d, x);
      row.store(d, n, V::mul(V::template load<TSR_F32>(x, 0), V::set1(factor)));
    }
  }

  const AttentionWork& work_;
  [[no_unique_address]] N products_;
  int64_t head_dim_;
  int64_t dim_;
  int64_t step_dim_;
  int32_t* sums_ = nullptr;          // [rows, step_dim]
  int32_t* scores_ = nullptr;        // [rows, kKeyTile]
  int32_t* max_ = nullptr;           // [rows]
  int32_t* totals_ = nullptr;        // [rows]
  int8_t* q_ = nullptr;              // [rows, step_dim]
  int8_t* packed_ = nullptr;         // for N: kKeyTile * step_dim + 256 bytes
  int8_t* packed_values_ = nullptr;  // kKeyTile * step_dim, in strips
  uint8_t* codes_ = nullptr;         // [rows, kKeyTile]
  int32_t* thresholds_ = nullptr;    // [rows, kPreparedThresholds]
};

}  // namespace tessera::cpu
