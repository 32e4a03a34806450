// SPDX-License-Identifier: Apache-2.0
//
// Integer attention.  Compiled without FMA contraction.

#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/npu_sim/function/activation.hpp"
#include "backends/npu_sim/function/attention/attention.hpp"
#include "backends/npu_sim/function/attention/attention_walk.hpp"
#include "backends/npu_sim/function/inner_loops.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kNumThresholds = 127;

// The code of a probability, 0 .. 127; thresholds fall as k grows.
int32_t probability_code(const int32_t* thresholds, int32_t d) {
  const int32_t* end = thresholds + kNumThresholds;
  const int32_t* first = std::partition_point(
      thresholds, end, [d](int32_t threshold) { return d <= threshold; });
  return static_cast<int32_t>(first - thresholds);
}

class IntegerRows {
 public:
  IntegerRows(const AttentionStep& op, std::vector<int16_t>& memory)
      : op_(op),
        D_(op.pool.layout.head_dim),
        V_(op.pool.layout.v_dim),
        heads_(op.num_q_heads / op.pool.layout.num_kv_heads) {
    const int64_t rows = kTokensPerBlock * heads_;
    const auto total =
        static_cast<size_t>((rows + kKeyTile) * D_ + kKeyTile * V_);
    if (memory.size() < total) memory.resize(total);
    q_ = memory.data();
    keys_ = q_ + rows * D_;
    values_ = keys_ + kKeyTile * D_;
    maxima_.resize(static_cast<size_t>(rows));
    sums_.resize(static_cast<size_t>(rows));
    finite_.resize(static_cast<size_t>(rows));
    acc_.resize(static_cast<size_t>(rows * V_));
    out_.resize(static_cast<size_t>(heads_ * std::max(D_, V_)));
  }

  void run(const QueryBlock& block) {
    quantize(block);
    std::fill(maxima_.begin(), maxima_.end(),
              std::numeric_limits<int32_t>::min());
    std::fill(sums_.begin(), sums_.end(), 0);
    std::fill(acc_.begin(), acc_.end(), 0);
    walk(block, false);
    walk(block, true);
    finish(block);
  }

 private:
  void quantize(const QueryBlock& block) {
    const int64_t width = heads_ * D_;
    for (int64_t t = 0; t < block.num_tokens; ++t) {
      load_row(op_.q, block.first_token + t, block.kv_head * width, width,
               out_.data());
      for (int64_t h = 0; h < heads_; ++h) {
        const int64_t row = t * heads_ + h;
        const float inv = op_.q_inv[block.kv_head * heads_ + h];
        bool finite = true;
        for (int64_t d = 0; d < D_; ++d) {
          const float x = out_[static_cast<size_t>(h * D_ + d)];
          finite = finite && std::isfinite(x);
          const float product = x * inv;
          q_[row * D_ + d] =
              static_cast<int16_t>(round_to_code(product, 0, -127, 127));
        }
        finite_[static_cast<size_t>(row)] = finite ? 1 : 0;
      }
    }
  }

  void load_tile(const QueryBlock& block, int64_t tile, KeyRange range,
                 bool values_too) {
    for (int64_t key = range.begin; key < range.end; ++key) {
      const int64_t slot = slot_of(op_, block.seq, key);
      const auto copy = [&](KvPart part, int64_t dims, int16_t* out_row) {
        const std::byte* codes = op_.pool.codes(part, slot, block.kv_head);
        for (int64_t d = 0; d < dims; ++d) {
          out_row[d] = int16_t{std::to_integer<int8_t>(codes[d])};
        }
      };
      copy(KvPart::kKey, D_, keys_ + (key - tile) * D_);
      if (values_too) copy(KvPart::kValue, V_, values_ + (key - tile) * V_);
    }
  }

  // Finds the maxima first; the second time, the sums.
  void walk(const QueryBlock& block, bool sums) {
    const KeyRange all = visible_keys(op_, block);
    for (int64_t tile = all.begin / kKeyTile * kKeyTile; tile < all.end;
         tile += kKeyTile) {
      const KeyRange range{std::max(tile, all.begin),
                           std::min(tile + kKeyTile, all.end)};
      load_tile(block, tile, range, sums);
      for (int64_t t = 0; t < block.num_tokens; ++t) {
        const KeyRange seen =
            visible_keys(op_, block.seq, block.first_position + t);
        const KeyRange part{std::max(seen.begin, range.begin) - tile,
                            std::min(seen.end, range.end) - tile};
        if (part.begin >= part.end) continue;
        for (int64_t h = 0; h < heads_; ++h) {
          add_tile(block, t * heads_ + h, part, sums);
        }
      }
    }
  }

  void add_tile(const QueryBlock& block, int64_t row, KeyRange part,
                bool sums) {
    int32_t scores[kKeyTile];
    for (int64_t j = part.begin; j < part.end; j += kMaxRows) {
      inner_loops().dot_i16(keys_ + j * D_, D_,
                            std::min(kMaxRows, part.end - j), q_ + row * D_, D_,
                            scores + j);
    }
    int32_t& top = maxima_[static_cast<size_t>(row)];
    if (!sums) {
      top = std::max(top,
                     *std::max_element(scores + part.begin, scores + part.end));
      return;
    }
    const int64_t head = block.kv_head * heads_ + row % heads_;
    const int32_t* thresholds = op_.thresholds + head * kNumThresholds;
    int32_t* acc = acc_.data() + row * V_;
    for (int64_t j = part.begin; j < part.end; ++j) {
      const int32_t code = probability_code(thresholds, top - scores[j]);
      if (code == 0) continue;
      sums_[static_cast<size_t>(row)] += code;
      const int16_t* value = values_ + j * V_;
      for (int64_t d = 0; d < V_; ++d) acc[d] += code * value[d];
    }
  }

  void finish(const QueryBlock& block) {
    const int64_t width = heads_ * V_;
    const float scale_v = op_.kv_scale[op_.pool.static_scale_index(
        KvPart::kValue, block.kv_head)];
    for (int64_t t = 0; t < block.num_tokens; ++t) {
      for (int64_t h = 0; h < heads_; ++h) {
        const int64_t row = t * heads_ + h;
        const auto index = static_cast<size_t>(row);
        float scale = scale_v / static_cast<float>(sums_[index]);
        if (finite_[index] == 0)
          scale = std::numeric_limits<float>::quiet_NaN();
        for (int64_t d = 0; d < V_; ++d) {
          const auto sum =
              static_cast<float>(acc_[static_cast<size_t>(row * V_ + d)]);
          out_[static_cast<size_t>(h * V_ + d)] = sum * scale;
        }
      }
      store_row(op_.out, block.first_token + t, block.kv_head * width, width,
                out_.data());
    }
  }

  const AttentionStep& op_;
  int64_t D_;
  int64_t V_;
  int64_t heads_;
  int16_t* q_;
  int16_t* keys_;
  int16_t* values_;
  std::vector<int32_t> maxima_;
  std::vector<int32_t> sums_;
  std::vector<uint8_t> finite_;
  std::vector<int32_t> acc_;
  std::vector<float> out_;
};

}  // namespace

void attention_fa3(const AttentionStep& op, AttentionScratch& scratch,
                   const Parallel& parallel) {
  check_attention(op);
  const std::vector<QueryBlock> blocks = query_blocks(op);
  const auto units = static_cast<int64_t>(blocks.size());
  const uint32_t count = num_tasks(units);
  if (scratch.integers.size() < count) scratch.integers.resize(count);
  parallel.run(count, [&](uint32_t task) {
    IntegerRows rows(op, scratch.integers[task]);
    const UnitRange range = units_of(units, task, count);
    for (int64_t i = range.begin; i < range.end; ++i) {
      rows.run(blocks[static_cast<size_t>(i)]);
    }
  });
}

}  // namespace tessera::npu
