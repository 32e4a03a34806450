// SPDX-License-Identifier: Apache-2.0
//
// Float attention as one streaming pass over the keys, a template over the
// vector type V, the KV format and the products P (float_products.hpp).
//
// For a tile of rows and keys: scores, then per row the new maximum m, the
// weights p = exp(score - m), and
//
//   l = exp(m_old - m) l + sum p,   o = exp(m_old - m) o + p V
//
// Scales of I8_CHANNEL are folded into q and the output, those of I8_TOKEN into
// scores and weights, so that codes are only widened.
// Source: Milakov and Gimelshein, arXiv:1805.02867, algorithm 3.

#pragma once

#include <optional>

#include "backends/cpu/kernels/attention/key_tile.hpp"
#include "backends/cpu/kernels/attention/products/register_tiles.hpp"
#include "backends/cpu/kernels/attention/products/strips.hpp"
#include "backends/cpu/kernels/attention/visible_keys.hpp"
#include "backends/cpu/kernels/ops/portable_simd.hpp"

namespace tessera::cpu {

template <typename V, uint32_t kFormat, typename P>
class StreamingAttention {
 public:
  using F = typename V::F;

  // Several heads' queries and sums wait in scratch, in L1 up to four rows
  // each.  Beyond, that pays only where products wait for memory: codes of
  // 16 bits and more.
  static constexpr int64_t kRowsTogether =
      kFormat == TSR_KV_I8_TOKEN || kFormat == TSR_KV_I8_CHANNEL ? 4 : 8;

  // `place` among the heads of the unit, whose rows share the scratch.
  StreamingAttention(const AttentionWork& work, int64_t place)
      : work_(work),
        head_dim_(work.op->kv.head_dim),
        dim_(padded_dim(head_dim_)),
        q_stride_((head_dim_ + 63) / 64 * 64),
        few_(work.num_rows <= P::kFewRowsLimit) {
    float* next = work.scratch;
    const auto take = [&next](int64_t words) {
      float* begin = next;
      next += words;
      return begin;
    };
    q_ = take(kRowTile * q_stride_);
    out_ = take(kRowTile * dim_);
    packed_ = take(kKeyTile * q_stride_);
    scores_ = take(kRowTile * kKeyTile);
    totals_ = take(kRowTile * V::kLanes);
    max_ = take(kRowTile);
    alpha_ = take(kRowTile);
    k_scale_ = take(kKeyTile);
    v_scale_ = take(kKeyTile);
    const int64_t first = place * kRowTile / kMostHeads;
    q_ += first * q_stride_;
    out_ += first * dim_;
    totals_ += first * V::kLanes;
    max_ += first;
    alpha_ += first;
  }

  static void run(const AttentionWork& work) {
    AttentionWork part[kMostHeads];
    std::optional<StreamingAttention> heads[kMostHeads];
    for (int64_t h = 0; h < work.num_heads; ++h) {
      part[h] = work.of_head(h);
      heads[h].emplace(part[h], h);
      heads[h]->load_queries();
    }
    // Tile by tile, all heads of a tile: their keys lie side by side, and
    // memory gives long pieces faster than scattered short ones.
    KeyTile tiles[2];
    KeyTile* keys = &tiles[0];
    KeyTile* next = &tiles[1];
    int64_t head = 0;
    bool more = find_tile(part[0], work.key_begin, keys);
    if (more && heads[0]->few_) fetch_tile(*keys, work.op->kv.row_bytes);
    while (more) {
      const int64_t after = head + 1 == work.num_heads ? 0 : head + 1;
      const int64_t first = keys->first + (after == 0 ? keys->num_keys : 0);
      more = find_tile(part[after], first, next);
      const bool is_fetched = more || find_soon(work, next);
      heads[head]->add_keys(*keys, is_fetched ? next : nullptr);
      KeyTile* done = keys;
      keys = next;
      next = done;
      head = after;
    }
    for (int64_t h = 0; h < work.num_heads; ++h) heads[h]->finish();
  }

  // Source: "Flash-Decoding" (Dao et al., 2023): o = sum w_c o_c / sum w_c l_c,
  // w_c = exp(m_c - max m), chunks in ascending order.
  static void combine(const AttentionWork& work) {
    const int64_t words = partial_row_words(work.op->kv.head_dim);
    const int64_t dim = padded_dim(work.op->kv.head_dim);
    for (int64_t r = 0; r < work.num_rows; ++r) {
      float* sum = work.partials + r * words;
      for (int64_t c = 1; c < work.num_chunks; ++c) {
        add_partial(sum, sum + c * work.num_rows * words, dim);
      }
      write_row(work, r, sum, sum[dim + 1]);
    }
  }

 private:
  static constexpr bool kTokenScales = kFormat == TSR_KV_I8_TOKEN;
  static constexpr bool kChannelScales = kFormat == TSR_KV_I8_CHANNEL;
  static constexpr bool kScalesScores = kTokenScales || !P::kScalesQueries;
  // Whether P takes rows strip by strip and other work between its steps.
  static constexpr bool kInStrips = requires { P::kStripRows; };

  static constexpr float kLowest = -0x1.fffffep+127f;

  // Token and query head of row r of this unit.
  static void locate(const AttentionWork& work, int64_t r, int64_t* out_token,
                     int64_t* out_head) {
    const Attention& op = *work.op;
    const int64_t group = op.num_q_heads / op.kv.num_kv_heads;
    const int64_t row = work.row_begin + r;
    *out_token = op.q_starts[work.seq] + row / group;
    *out_head = work.kv_head * group + row % group;
  }

  template <typename Body>
  static void for_vectors(int64_t n, const Body& body) {
    for (int64_t i = 0; i < n; i += V::kLanes) {
      body(i, static_cast<int>(n - i < V::kLanes ? n - i : V::kLanes));
    }
  }

  void load_queries() {
    const Attention& op = *work_.op;
    const F scale = V::set1(P::kScalesQueries ? op.scale : 1.0f);
    for (int i = 0; i < kKeyTile; ++i) k_scale_[i] = op.scale;
    const float* channel =
        kChannelScales ? op.kv_scale + work_.kv_head * head_dim_ : nullptr;
    // Few rows are read up to the next power of two.
    const int64_t rows = few_ ? P::kFewRowsLimit : work_.num_rows;
    for (int64_t r = 0; r < rows; ++r) {
      float* to = q_ + r * q_stride_;
      max_[r] = kLowest;
      alpha_[r] = 1.0f;
      V::template store<TSR_F32>(totals_, r * V::kLanes, V::zero());
      for_vectors(q_stride_, [&](int64_t d, int) {
        V::template store<TSR_F32>(to, d, V::zero());
      });
      for_vectors(dim_, [&](int64_t d, int) {
        V::template store<TSR_F32>(out_ + r * dim_, d, V::zero());
      });
      if (r >= work_.num_rows) continue;
      int64_t token = 0;
      int64_t head = 0;
      locate(work_, r, &token, &head);
      const SimdRow<V> row =
          SimdRow<V>(op.q, op.dtype).at(token * op.q_stride + head * head_dim_);
      for_vectors(head_dim_, [&](int64_t d, int n) {
        F x = V::mul(row.load(d, n), scale);
        if constexpr (kChannelScales) {
          x = V::mul(x, V::template load_n<TSR_F32>(channel, d, n));
        }
        V::template store<TSR_F32>(to, d, x);
      });
      P::convert_query(to, q_stride_);
    }
    if constexpr (kInStrips) {
      products_.begin(work_.num_rows, q_, q_stride_, packed_);
    }
  }

  // The tile of the unit's keys from `first` on; false if there are none.
  static bool find_tile(const AttentionWork& work, int64_t first,
                        KeyTile* out_tile) {
    const int64_t left = work.key_end - first;
    if (left <= 0) return false;
    find_keys(work, first, static_cast<int>(left < kKeyTile ? left : kKeyTile),
              out_tile);
    return true;
  }

  // The first tile of the unit after this one.
  static bool find_soon(const AttentionWork& work, KeyTile* out_tile) {
    return work.soon != nullptr &&
           find_tile(*work.soon, work.soon->key_begin, out_tile);
  }

  // All at once, for a unit that was not foreseen.
  static void fetch_tile(const KeyTile& keys, int64_t row_bytes) {
    for (const auto* rows : {keys.k, keys.v}) {
      for (int key = 0; key < keys.num_keys; ++key) {
        for (int64_t i = 0; i < row_bytes; i += 64) {
          V::prefetch(rows[key] + i);
        }
      }
    }
  }

  void add_keys(const KeyTile& keys, const KeyTile* next) {
    if constexpr (kTokenScales) {
      load_scales(keys);
      if (next != nullptr) fetch_scales(*next);
    }
    const int rows = static_cast<int>(work_.num_rows);
    const CodeRows k = {keys.k, next != nullptr ? next->k : nullptr,
                        keys.num_keys, head_dim_, q_stride_};
    const CodeRows v = {keys.v, next != nullptr ? next->v : nullptr,
                        keys.num_keys, head_dim_, q_stride_};
    if (few_) {
      products_.few_scores(rows, k, q_, scores_);
      weigh(keys, 0, rows);
      products_.few_sums(rows, v, scores_, out_, alpha_);
    } else if constexpr (kInStrips) {
      add_in_strips(keys, k, v);
    } else {
      P::scores(rows, k, q_, packed_, scores_);
      weigh(keys, 0, rows);
      P::sums(rows, v, scores_, packed_, out_, alpha_);
    }
  }

  void add_in_strips(const KeyTile& keys, const CodeRows& k,
                     const CodeRows& v) {
    products_.pack(k, v);
    in_strips<P::kStripRows>(
        static_cast<int>(work_.num_rows),
        [&](int first, int rows, const auto& between) {
          products_.scores(rows, k, q_ + first * q_stride_,
                           scores_ + first * kKeyTile, between);
        },
        [&](int begin, int end) { weigh(keys, begin, end); },
        [&](int first, int rows, const auto& between) {
          products_.add_values(rows, v, scores_ + first * kKeyTile,
                               out_ + first * dim_, alpha_ + first, between);
        });
  }

  // Scales of the tile's keys, 0 past them.
  void load_scales(const KeyTile& keys) {
    const F scale = V::set1(P::kScalesQueries ? 1.0f : work_.op->scale);
    int64_t key = 0;
    for (int run = 0; run < keys.num_runs; ++run) {
      const KeyTile::Run& part = keys.runs[run];
      for_vectors(part.num_keys, [&](int64_t i, int n) {
        const F k = V::template load_n<TSR_F32>(part.k_scale, i, n);
        const F v = V::template load_n<TSR_F32>(part.v_scale, i, n);
        V::template store_n<TSR_F32>(k_scale_, key + i, V::mul(k, scale), n);
        V::template store_n<TSR_F32>(v_scale_, key + i, v, n);
      });
      key += part.num_keys;
    }
    for (; key < kKeyTile; ++key) k_scale_[key] = v_scale_[key] = 0.0f;
  }
  // Inlined, else g++ takes it for a function without effect.
  [[gnu::always_inline]] static void fetch_scales(const KeyTile& keys) {
    for (int run = 0; run < keys.num_runs; ++run) {
      V::prefetch(keys.runs[run].k_scale);
      V::prefetch(keys.runs[run].v_scale);
    }
  }

  // Scores of rows begin .. end - 1 to weights, in place; updates maxima and
  // totals, and leaves in alpha_ what the old sums are to be scaled by.
  void weigh(const KeyTile& keys, int64_t begin, int64_t end) {
    const int cols = static_cast<int>(padded_dim(keys.num_keys));
    for (int64_t r = begin; r < end; ++r) {
      float* score = scores_ + r * kKeyTile;
      if constexpr (kScalesScores) {
        for (int i = 0; i < cols; i += V::kLanes) {
          const F s = V::template load<TSR_F32>(score, i);
          const F scale = V::template load<TSR_F32>(k_scale_, i);
          V::template store<TSR_F32>(score, i, V::mul(s, scale));
        }
      }
      hide(keys, r, cols, score);
      F largest = V::set1(max_[r]);
      for (int i = 0; i < cols; i += V::kLanes) {
        largest = V::max(V::template load<TSR_F32>(score, i), largest);
      }
      const float m = V::max_lane(largest);
      alpha_[r] = max_[r] - m;
      max_[r] = m;
    }
    for_vectors(end - begin, [&](int64_t i, int n) {
      const F x = V::template load_n<TSR_F32>(alpha_, begin + i, n);
      V::template store_n<TSR_F32>(alpha_, begin + i, P::exp(x), n);
    });
    for (int64_t r = begin; r < end; ++r) {
      float* score = scores_ + r * kKeyTile;
      const F m = V::set1(max_[r]);
      F total = V::mul(V::template load<TSR_F32>(totals_, r * V::kLanes),
                       V::set1(alpha_[r]));
      for (int i = 0; i < cols; i += V::kLanes) {
        F p = P::exp(V::sub(V::template load<TSR_F32>(score, i), m));
        total = V::add(total, p);
        if constexpr (kTokenScales) {
          p = V::mul(p, V::template load<TSR_F32>(v_scale_, i));
        }
        P::store_weights(score, i, p);
      }
      V::template store<TSR_F32>(totals_, r * V::kLanes, total);
    }
  }

  // Keys that row r does not see get the score -infinity.
  void hide(const KeyTile& keys, int64_t r, int cols, float* score) const {
    const VisibleKeys seen =
        visible_keys(*work_.op, work_.seq, work_.row_begin + r);
    const float hidden = tsr_from_bits_f32(0xff800000u);
    const int64_t first = seen.begin - keys.first;
    const int64_t last = seen.end - keys.first;
    for (int i = 0; i < cols && i < first; ++i) score[i] = hidden;
    const int64_t end = last < keys.num_keys ? last : keys.num_keys;
    for (int i = end > 0 ? static_cast<int>(end) : 0; i < cols; ++i) {
      score[i] = hidden;
    }
  }

  void finish() {
    const int64_t words = partial_row_words(head_dim_);
    float* partial = work_.partials + work_.chunk * work_.num_rows * words;
    for (int64_t r = 0; r < work_.num_rows; ++r) {
      const float total =
          V::sum(V::template load<TSR_F32>(totals_, r * V::kLanes));
      const float* sums = out_ + r * dim_;
      if (work_.num_chunks == 1) {
        write_row(work_, r, sums, total);
        continue;
      }
      float* to = partial + r * words;
      for_vectors(dim_, [&](int64_t d, int) {
        V::template store<TSR_F32>(to, d, V::template load<TSR_F32>(sums, d));
      });
      to[dim_] = max_[r];
      to[dim_ + 1] = total;
    }
  }

  static void add_partial(float* sum, const float* other, int64_t dim) {
    const float m = other[dim] > sum[dim] ? other[dim] : sum[dim];
    const float ours = tsr_exp_f32(sum[dim] - m);
    const float theirs = tsr_exp_f32(other[dim] - m);
    for_vectors(dim, [&](int64_t d, int) {
      const F a = V::template load<TSR_F32>(sum, d);
      const F b = V::template load<TSR_F32>(other, d);
      V::template store<TSR_F32>(
          sum, d, V::fma(a, V::set1(ours), V::mul(b, V::set1(theirs))));
    });
    sum[dim] = m;
    sum[dim + 1] = sum[dim + 1] * ours + other[dim + 1] * theirs;
  }

  static void write_row(const AttentionWork& work, int64_t r, const float* sums,
                        float total) {
    const Attention& op = *work.op;
    const int64_t head_dim = op.kv.head_dim;
    int64_t token = 0;
    int64_t head = 0;
    locate(work, r, &token, &head);
    const SimdRowOut<V> row = SimdRowOut<V>(op.out, op.dtype)
                                  .at(token * op.out_stride + head * head_dim);
    const float* channel =
        kChannelScales
            ? op.kv_scale + (op.kv.num_kv_heads + work.kv_head) * head_dim
            : nullptr;
    for_vectors(head_dim, [&](int64_t d, int n) {
      F x = V::div(V::template load<TSR_F32>(sums, d), V::set1(total));
      if constexpr (kChannelScales) {
        x = V::mul(x, V::template load_n<TSR_F32>(channel, d, n));
      }
      row.store(d, n, x);
    });
  }

  const AttentionWork& work_;
  [[no_unique_address]] P products_;
  int64_t head_dim_;
  int64_t dim_;
  int64_t q_stride_;
  bool few_;
  float* q_ = nullptr;        // [rows, q_stride]
  float* out_ = nullptr;      // [rows, dim]
  float* packed_ = nullptr;   // keys or values of one tile
  float* scores_ = nullptr;   // [rows, kKeyTile]; scores, then weights of P
  float* totals_ = nullptr;   // [rows, 16], lanes of the sums of weights
  float* max_ = nullptr;      // [rows]
  float* alpha_ = nullptr;    // [rows]
  float* k_scale_ = nullptr;  // [kKeyTile], what scores are multiplied by
  float* v_scale_ = nullptr;
};

}  // namespace tessera::cpu
