// SPDX-License-Identifier: Apache-2.0
//
// Float attention.  Compiled without FMA contraction.

#include "backends/npu_sim/function/attention/attention.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "backends/npu_sim/function/attention/attention_walk.hpp"
#include "backends/npu_sim/function/inner_loops.hpp"
#include "tessera/portable_math.h"

namespace tessera::npu {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

// What a block of queries keeps between tiles.
class QueryRows {
 public:
  QueryRows(const AttentionStep& op, std::vector<float>& memory)
      : op_(op),
        D_(op.pool.layout.head_dim),
        V_(op.pool.layout.v_dim),
        tile_(op.tiling.keys),
        heads_(op.num_q_heads / op.pool.layout.num_kv_heads),
        type_(op.pool.layout.format == TSR_KV_BF16 ? Half::kBf16 : Half::kF16) {
    const int64_t rows = kTokensPerBlock * heads_;
    const auto total = static_cast<size_t>(
        rows * (D_ + 2 * V_ + 4) + tile_ * (D_ + V_ + 1) + std::max(D_, V_));
    if (memory.size() < total) memory.resize(total);
    float* next = memory.data();
    const auto take = [&next](int64_t count) {
      float* taken = next;
      next += count;
      return taken;
    };
    q_ = take(rows * D_);
    o_ = take(rows * V_);
    max_ = take(rows);
    sum_ = take(rows);
    merged_o_ = take(rows * V_);
    merged_max_ = take(rows);
    merged_sum_ = take(rows);
    splits_.resize(static_cast<size_t>(rows));
    keys_ = take(tile_ * D_);
    values_ = take(tile_ * V_);
    p_ = take(tile_);
    product_ = take(std::max(D_, V_));
  }

  void run(const QueryBlock& block) {
    begin(block);
    const KeyRange all = visible_keys(op_, block);
    for (int64_t tile = all.begin / tile_ * tile_; tile < all.end;
         tile += tile_) {
      const KeyRange range{std::max(tile, all.begin),
                           std::min(tile + tile_, all.end)};
      load_tile(block, tile, range);
      for (int64_t t = 0; t < block.num_tokens; ++t) {
        const KeyRange seen =
            visible_keys(op_, block.seq, block.first_position + t);
        const KeyRange part{std::max(seen.begin, range.begin) - tile,
                            std::min(seen.end, range.end) - tile};
        if (part.begin >= part.end) continue;
        for (int64_t h = 0; h < heads_; ++h) {
          enter_split(block, t, h, tile);
          add_tile(t * heads_ + h, part);
        }
      }
    }
    finish(block);
  }

 private:
  void begin(const QueryBlock& block) {
    const int64_t width = heads_ * D_;
    for (int64_t t = 0; t < block.num_tokens; ++t) {
      load_row(op_.q, block.first_token + t, block.kv_head * width, width,
               q_ + t * width);
    }
    const int64_t rows = block.num_tokens * heads_;
    for (int64_t i = 0; i < rows * D_; ++i) {
      q_[i] = rounded_to_half(type_, q_[i]);
    }
    std::fill_n(o_, rows * V_, 0.0f);
    std::fill_n(sum_, rows, 0.0f);
    std::fill_n(max_, rows, kNothing);
    std::fill_n(merged_max_, rows, kNothing);
    std::fill_n(merged_sum_, rows, 0.0f);
    std::fill_n(merged_o_, rows * V_, 0.0f);
    std::fill(splits_.begin(), splits_.end(), int64_t{0});
  }

  // Which split of its keys the row of token t and head h is in at `tile`.
  int64_t split_at(const QueryBlock& block, int64_t t, int64_t h,
                   int64_t tile) const {
    const AttentionTiling& tiling = op_.tiling;
    const int64_t q_len = op_.q_starts[block.seq + 1] - op_.q_starts[block.seq];
    const int64_t first = op_.seq_lens[block.seq] - q_len;
    const int64_t row = (block.first_position + t - first) * heads_ + h;
    const int64_t begin = row / tiling.rows * tiling.rows;
    const int64_t last = std::min(begin + tiling.rows, q_len * heads_) - 1;
    const int64_t from =
        visible_keys(op_, block.seq, first + begin / heads_).begin / tile_ *
        tile_;
    const int64_t to = visible_keys(op_, block.seq, first + last / heads_).end;
    const int64_t keys = (to - from + tiling.splits - 1) / tiling.splits;
    return (tile - from) / ((keys + tile_ - 1) / tile_ * tile_);
  }

  void enter_split(const QueryBlock& block, int64_t t, int64_t h,
                   int64_t tile) {
    if (op_.tiling.splits == 1) return;
    const int64_t row = t * heads_ + h;
    int64_t& current = splits_[static_cast<size_t>(row)];
    const int64_t split = split_at(block, t, h, tile);
    if (split == current) return;
    current = split;
    leave_split(row);
  }

  // Adds what the row has to what it had, and begins anew.
  void leave_split(int64_t row) {
    float* o = o_ + row * V_;
    float* merged = merged_o_ + row * V_;
    const float other = max_[row];
    if (other == kNothing) return;
    const float own = merged_max_[row];
    const float top = own > other ? own : other;
    const float keep = tsr_exp_f32(own - top);
    const float take = tsr_exp_f32(other - top);
    for (int64_t d = 0; d < V_; ++d) {
      const float kept = merged[d] * keep;
      const float taken = o[d] * take;
      merged[d] = kept + taken;
      o[d] = 0.0f;
    }
    const float kept = merged_sum_[row] * keep;
    const float taken = sum_[row] * take;
    merged_sum_[row] = kept + taken;
    merged_max_[row] = top;
    max_[row] = kNothing;
    sum_[row] = 0.0f;
  }

  // One head of a key or value as the cube takes it.
  void load_head(const QueryBlock& block, KvPart part, int64_t key,
                 float* out_row) const {
    const KvLayout& layout = op_.pool.layout;
    const int64_t dims = part == KvPart::kKey ? D_ : V_;
    const int64_t slot = slot_of(op_, block.seq, key);
    const std::byte* codes = op_.pool.codes(part, slot, block.kv_head);
    if (layout.code_bytes == 2) {
      const uint32_t dtype = type_ == Half::kF16 ? TSR_F16 : TSR_BF16;
      return load_row({codes, dtype, 0}, 0, 0, dims, out_row);
    }
    float one = 0.0f;
    const float* scale = &one;
    if (layout.format == TSR_KV_I8_TOKEN) {
      std::memcpy(&one, op_.pool.token_scale(part, slot, block.kv_head),
                  sizeof(one));
    } else {
      scale = op_.kv_scale + op_.pool.static_scale_index(part, block.kv_head);
    }
    const int64_t step = layout.format == TSR_KV_I8_CHANNEL ? 1 : 0;
    for (int64_t d = 0; d < dims; ++d) {
      const auto code = static_cast<float>(static_cast<int8_t>(codes[d]));
      const float value = code * scale[d * step];
      out_row[d] = rounded_to_half(type_, value);
    }
  }

  // Keys [D, tile], so that lanes are keys; values [tile, D].
  void load_tile(const QueryBlock& block, int64_t tile, KeyRange range) {
    for (int64_t key = range.begin; key < range.end; ++key) {
      const int64_t j = key - tile;
      load_head(block, KvPart::kKey, key, product_);
      for (int64_t d = 0; d < D_; ++d) keys_[d * tile_ + j] = product_[d];
      load_head(block, KvPart::kValue, key, values_ + j * V_);
    }
  }

  void add_tile(int64_t row, KeyRange part) {
    const InnerLoops& loops = inner_loops();
    const int64_t count = part.end - part.begin;
    float* s = p_ + part.begin;
    std::fill_n(s, count, 0.0f);
    for (int64_t d = 0; d < D_; ++d) {
      loops.add_scaled(q_[row * D_ + d], keys_ + d * tile_ + part.begin, count,
                       s);
    }
    float top = max_[row];
    for (int64_t j = 0; j < count; ++j) {
      s[j] = s[j] * op_.scale;
      top = s[j] > top ? s[j] : top;
    }
    const float factor = tsr_exp_f32(max_[row] - top);
    float lanes[TSR_SUM_LANES] = {};
    for (int64_t j = 0; j < count; ++j) {
      const float p = tsr_exp_f32(s[j] - top);
      float& lane = lanes[(part.begin + j) % TSR_SUM_LANES];
      lane = lane + p;
      s[j] = rounded_to_half(type_, p);
    }
    const float kept = sum_[row] * factor;
    sum_[row] = kept + tsr_sum_lanes_f32(lanes);
    max_[row] = top;
    std::fill_n(product_, V_, 0.0f);
    for (int64_t j = 0; j < count; ++j) {
      loops.add_scaled(s[j], values_ + (part.begin + j) * V_, V_, product_);
    }
    float* o = o_ + row * V_;
    for (int64_t d = 0; d < V_; ++d) {
      const float rescaled = o[d] * factor;
      o[d] = rescaled + product_[d];
    }
  }

  void finish(const QueryBlock& block) {
    const bool merges = op_.tiling.splits > 1;
    const float* sums = merges ? merged_sum_ : sum_;
    float* result = merges ? merged_o_ : o_;
    for (int64_t row = 0; row < block.num_tokens * heads_; ++row) {
      if (merges) leave_split(row);
      float* o = result + row * V_;
      for (int64_t d = 0; d < V_; ++d) o[d] = o[d] / sums[row];
    }
    const int64_t width = heads_ * V_;
    for (int64_t t = 0; t < block.num_tokens; ++t) {
      store_row(op_.out, block.first_token + t, block.kv_head * width, width,
                result + t * width);
    }
  }

  const AttentionStep& op_;
  int64_t D_;
  int64_t V_;
  int64_t tile_;
  int64_t heads_;  // query heads of one KV head
  Half type_;
  float* q_;
  float* o_;
  float* max_;
  float* sum_;
  float* merged_o_;
  float* merged_max_;
  float* merged_sum_;
  std::vector<int64_t> splits_;  // of each row, where it is
  float* keys_;
  float* values_;
  float* p_;
  float* product_;
};

}  // namespace

void attention(const AttentionStep& op, AttentionScratch& scratch,
               const Parallel& parallel) {
  check_attention(op);
  const std::vector<QueryBlock> blocks = query_blocks(op);
  const auto units = static_cast<int64_t>(blocks.size());
  const uint32_t count = num_tasks(units);
  if (scratch.floats.size() < count) scratch.floats.resize(count);
  parallel.run(count, [&](uint32_t task) {
    QueryRows rows(op, scratch.floats[task]);
    const UnitRange range = units_of(units, task, count);
    for (int64_t i = range.begin; i < range.end; ++i) {
      rows.run(blocks[static_cast<size_t>(i)]);
    }
  });
}

}  // namespace tessera::npu
