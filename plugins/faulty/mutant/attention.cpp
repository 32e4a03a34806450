// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <cmath>

#include "kernels.hpp"
#include "tessera/portable_math.h"

namespace mutant {
namespace {

constexpr uint64_t kPartAlignment = 64;
constexpr float kSmallest = 0x1p-100f;

uint64_t round_up(uint64_t bytes) {
  return (bytes + kPartAlignment - 1) / kPartAlignment * kPartAlignment;
}

bool is_integer(const Pool& pool) {
  return pool.desc.format == TSR_KV_I8_TOKEN;
}

}  // namespace

uint64_t Pool::part_bytes() const {
  const uint64_t elements =
      uint64_t{desc.num_kv_heads} * desc.block_size * desc.head_dim;
  return round_up(elements * (is_integer(*this) ? 1 : 4));
}
uint64_t Pool::scale_bytes() const {
  if (!is_integer(*this)) return 0;
  return round_up(uint64_t{desc.num_kv_heads} * desc.block_size * 4);
}
uint64_t Pool::block_bytes() const {
  return 2 * (part_bytes() + scale_bytes());
}

char* Pool::codes(bool value, uint64_t slot, uint32_t head) const {
  const uint64_t block = slot / desc.block_size;
  const uint64_t offset = slot % desc.block_size;
  const uint64_t index =
      (uint64_t{head} * desc.block_size + offset) * desc.head_dim;
  return memory + block * block_bytes() + (value ? part_bytes() : 0) +
         index * (is_integer(*this) ? 1 : 4);
}

char* Pool::scale(bool value, uint64_t slot, uint32_t head) const {
  const uint64_t block = slot / desc.block_size;
  const uint64_t index =
      uint64_t{head} * desc.block_size + slot % desc.block_size;
  return memory + block * block_bytes() + 2 * part_bytes() +
         (value ? scale_bytes() : 0) + index * 4;
}

float Pool::read(bool value, uint64_t slot, uint32_t head, uint32_t i) const {
  if (!is_integer(*this)) {
    return load(codes(value, slot, head) + uint64_t{i} * 4, TSR_F32);
  }
  const bool other = has("kv_scales_swapped") ? !value : value;
  return static_cast<float>(
             static_cast<signed char>(codes(value, slot, head)[i])) *
         load(scale(other, slot, head), TSR_F32);
}

namespace {

// One query head of one token.
struct Query {
  uint32_t seq;
  uint64_t token;
  uint32_t head;
  int64_t position;
  int64_t seq_len;
};

uint64_t slot_of(const AttentionWork& work, const Query& query, int64_t p) {
  if (has("cached_tokens_in_10_bits")) p &= 0x3ff;
  const uint32_t size = work.pool.desc.block_size;
  const uint32_t assumed = has("block_size_assumed") ? 16 : size;
  const auto logical = static_cast<uint64_t>(p) / assumed;
  const uint32_t row = has("block_table_of_first_sequence") ? 0 : query.seq;
  const auto block =
      static_cast<uint64_t>(work.block_table[row * work.max_blocks + logical]);
  const uint64_t physical = has("block_table_ignored") ? logical : block;
  if (has("block_table_without_gaps") && logical > 0) {
    // As if each row were as long as its sequence.
    const auto used = static_cast<uint64_t>((query.seq_len + size - 1) / size);
    const auto other =
        static_cast<uint64_t>(work.block_table[row * used + logical]);
    return other * size + static_cast<uint64_t>(p) % size;
  }
  return physical * size + static_cast<uint64_t>(p) % size;
}

void run_query(const AttentionWork& work, const Query& query) {
  const uint32_t D = work.pool.desc.head_dim;
  const uint32_t kv_heads = work.pool.desc.num_kv_heads;
  const uint32_t ratio = work.op.num_q_heads / kv_heads;
  uint32_t kv_head =
      has("gqa_head_modulo") ? query.head % kv_heads : query.head / ratio;
  if (has("gqa_ratio_by_shift")) {
    uint32_t shift = 0;
    while (2U << shift <= ratio) ++shift;
    kv_head = std::min(query.head >> shift, kv_heads - 1);
  }
  if (has("last_kv_head_lost") && kv_head > 0 && kv_head + 1 == kv_heads) {
    --kv_head;
  }
  int64_t begin = 0;
  int64_t end = query.position + 1;
  if (work.op.mask == TSR_MASK_FULL && !has("full_mask_is_causal")) {
    end = query.seq_len;
  }
  if (work.op.mask == TSR_MASK_SLIDING) {
    const int64_t window = work.op.window + (has("window_off_by_one") ? 1 : 0);
    begin = std::max<int64_t>(0, query.position - window + 1);
  }
  if (has("mask_off_by_one") && end > begin + 1) --end;
  if (has("reads_past_seq_len")) ++end;
  if (has("full_block_lost")) {
    const int64_t size = work.pool.desc.block_size;
    if (end % size == 0 && end - begin > size) end -= size;
  }
  std::vector<float> scores;
  float largest = -INFINITY;
  for (int64_t p = begin; p < end; ++p) {
    const uint64_t slot = slot_of(work, query, p);
    float score = 0;
    for (uint32_t i = 0; i < D; ++i) {
      score += work.q.at(query.token, query.head * D + i) *
               work.pool.read(false, slot, kv_head, i);
    }
    const float usual = 1.0f / std::sqrt(static_cast<float>(D));
    const float scale = has("softmax_scale_assumed") ? usual : work.op.scale;
    scores.push_back(has("softmax_scale_missing") ? score : score * scale);
    largest = std::max(largest, scores.back());
  }
  float sum = 0;
  for (float& score : scores) {
    score = tsr_exp_f32(score - largest);
    sum += score;
  }
  for (uint32_t i = 0; i < D; ++i) {
    float out = 0;
    for (int64_t p = begin; p < end; ++p) {
      out += scores[static_cast<size_t>(p - begin)] *
             work.pool.read(true, slot_of(work, query, p), kv_head, i);
    }
    work.out.set(query.token, query.head * D + i,
                 has("not_normalized") ? out : out / sum);
  }
}

}  // namespace

void attention(const AttentionWork& work) {
  for (uint32_t s = 0; s < work.num_seqs; ++s) {
    const int32_t first = work.q_starts[s];
    const int32_t end = work.q_starts[s + 1];
    const int64_t length =
        work.seq_lens[has("seq_len_of_first_sequence") ? 0 : s];
    for (int32_t t = first; t < end; ++t) {
      for (uint32_t h = 0; h < work.op.num_q_heads; ++h) {
        run_query(work, {s, static_cast<uint64_t>(t), h,
                         length - (end - first) + (t - first), length});
      }
    }
  }
}

void rotate(float* head, const float* angles, uint32_t rotary, uint32_t style) {
  if (has("rope_styles_swapped")) style = TSR_ROPE_HALF;
  for (uint32_t i = 0; i < rotary / 2; ++i) {
    const uint32_t a = style == TSR_ROPE_HALF ? i : 2 * i;
    const uint32_t b = style == TSR_ROPE_HALF ? i + rotary / 2 : 2 * i + 1;
    float sine = angles[rotary / 2 + i];
    if (has("rope_turns_back")) sine = -sine;
    const float x = head[a];
    const float y = head[b];
    tsr_rotate_f32(x, y, angles[i], sine, &head[a], &head[b]);
    if (has("rope_aliases")) head[b] = head[a] * sine + y * angles[i];
  }
}

namespace {

void store_row(const Pool& pool, bool value, uint64_t slot, uint32_t head,
               const std::vector<float>& x) {
  char* codes = pool.codes(value, slot, head);
  if (!is_integer(pool)) {
    std::memcpy(codes, x.data(), x.size() * sizeof(float));
    return;
  }
  float amax = 0;
  for (const float v : x) amax = std::max(amax, std::fabs(v));
  const bool tiny = amax < kSmallest;
  const float inv = tiny ? 0.0f : 127.0f / amax;
  for (size_t i = 0; i < x.size(); ++i) {
    const float code = has("kv_codes_truncate") ? std::trunc(x[i] * inv)
                                                : std::nearbyint(x[i] * inv);
    codes[i] =
        static_cast<char>(static_cast<int>(std::clamp(code, -127.0f, 127.0f)));
  }
  const float reciprocal = 1.0f / 127.0f;
  const float scale = tiny ? 0.0f : amax * reciprocal;
  if (has("kv_scale_not_stored")) return;
  std::memcpy(pool.scale(value, slot, head), &scale, sizeof(scale));
}

}  // namespace

void kv_append(const AppendWork& work) {
  const uint32_t D = work.pool.desc.head_dim;
  std::vector<float> row(D);
  for (uint64_t t = 0; t < work.num_tokens; ++t) {
    int32_t slot = work.slots[t];
    if (slot < 0 && has("stores_skipped_tokens")) slot = 0;
    if (slot < 0) continue;
    const auto size = static_cast<int32_t>(work.pool.desc.block_size);
    if (has("end_of_block_not_stored") && size > 1 && slot % size == size - 1) {
      continue;
    }
    for (uint32_t h = 0; h < work.pool.desc.num_kv_heads; ++h) {
      for (const bool value : {false, true}) {
        const Rows& from = value ? work.v : work.k;
        for (uint32_t i = 0; i < D; ++i) row[i] = from.at(t, h * D + i);
        const bool turns = !value || has("v_is_rotated");
        if (turns && work.table != nullptr) {
          int32_t position = work.positions[t];
          if (has("rope_position_off")) ++position;
          const uint32_t rotary =
              has("rotary_dim_ignored") ? D : work.op.rotary_dim;
          const uint32_t width = work.op.rotary_dim;
          rotate(row.data(), work.table + int64_t{position} * width,
                 std::min(rotary, width), work.op.style);
          if (rotary > width) std::fill(row.begin() + width, row.end(), 0.0f);
        }
        store_row(work.pool, value, static_cast<uint64_t>(slot), h, row);
      }
    }
  }
}

}  // namespace mutant
