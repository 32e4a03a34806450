// SPDX-License-Identifier: Apache-2.0
//
// Random lengths, heads, masks and caches, whose blocks lie scattered over the
// pool.

#include "tests/unit/backends/npu_sim/execution/attention_case.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>

#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/format/kv_block.hpp"

namespace tessera::npu {
namespace {

constexpr float kQueryScale = 0.03f;
constexpr size_t kNumThresholds = 127;

}  // namespace

AttentionCase::AttentionCase(const Profile& profile, KvType kv,
                             ValueShape shape, std::mt19937& rng)
    : profile_(profile), rng_(rng) {
  attention_.kv = kv;
  choose_step(shape);
  plan_.emplace(plan_attention(profile, attention_));
  std::normal_distribution<float> normal;
  q_.resize(static_cast<size_t>(num_tokens_ * attention_.num_q_heads *
                                attention_.qk_dim));
  const Half half = dtype() == TSR_F16 ? Half::kF16 : Half::kBf16;
  for (uint16_t& bits : q_) bits = half_from_f32(half, normal(rng));
  if (kv == KvType::kFa3 && below(4) == 0) {
    q_[static_cast<size_t>(below(static_cast<int64_t>(q_.size())))] =
        half_from_f32(half, NAN);
  }
  choose_scales();
  fill_cache();
}

std::string AttentionCase::text() const {
  std::string lengths;
  for (size_t s = 0; s < attention_.q_lens.size(); ++s) {
    lengths += " " + std::to_string(attention_.q_lens[s]) + " of " +
               std::to_string(attention_.seq_lens[s]);
  }
  return profile_.name + " kv " +
         std::to_string(static_cast<int>(attention_.kv)) + lengths +
         ", heads " + std::to_string(attention_.num_q_heads) + "/" +
         std::to_string(attention_.num_kv_heads) + " of " +
         std::to_string(attention_.qk_dim) + " and " +
         std::to_string(attention_.v_dim) + (attention_.v_in_k ? " in k" : "") +
         ", block " + std::to_string(attention_.block_size) + ", window " +
         std::to_string(attention_.window) + " causal " +
         std::to_string(attention_.causal) + ", tiles " +
         std::to_string(plan_->tile_rows) + "x" +
         std::to_string(plan_->tile_keys) + ", splits " +
         std::to_string(plan_->num_splits) + ", seed 42";
}

void AttentionCase::choose_step(ValueShape shape) {
  const int64_t sequences = 1 + below(3);
  const bool is_decode = below(2) == 0;
  for (int64_t s = 0; s < sequences; ++s) {
    const int64_t q_len = is_decode ? 1 : 1 + below(70);
    attention_.q_lens.push_back(q_len);
    attention_.seq_lens.push_back(q_len + below(is_decode ? 1500 : 200));
    num_tokens_ += q_len;
    q_starts_.push_back(static_cast<int32_t>(num_tokens_));
    seq_lens_.push_back(static_cast<int32_t>(attention_.seq_lens.back()));
  }
  constexpr int64_t kDims[] = {16, 40, 64, 128};
  constexpr int64_t kLongDims[] = {72, 136, 192, 288};
  attention_.qk_dim =
      shape == ValueShape::kAsKeys ? kDims[below(4)] : kLongDims[below(4)];
  attention_.v_dim = shape == ValueShape::kAsKeys
                         ? attention_.qk_dim
                         : std::max<int64_t>(64, attention_.qk_dim - 64);
  attention_.v_in_k = shape == ValueShape::kInKeys;
  attention_.num_kv_heads = attention_.v_in_k ? 1 : 1 + below(2);
  attention_.num_q_heads = attention_.num_kv_heads * (1 + below(4));
  attention_.block_size = 16 << below(3);
  attention_.causal = below(4) != 0;
  attention_.window = attention_.causal && below(3) == 0 ? 1 + below(200) : 0;
  if (profile_.cube_cores > 1) {
    attention_.cores = 1 + below(std::min<int64_t>(12, profile_.cube_cores));
  }
  blocks_per_seq_ = ceil_div(
      *std::max_element(attention_.seq_lens.begin(), attention_.seq_lens.end()),
      attention_.block_size);
  table_.resize(static_cast<size_t>(sequences * blocks_per_seq_));
  std::iota(table_.begin(), table_.end(), 0);
  std::shuffle(table_.begin(), table_.end(), rng_);
}

uint32_t AttentionCase::format() const {
  constexpr std::array<uint32_t, 5> kFormats = {TSR_KV_F16, TSR_KV_BF16,
                                                TSR_KV_I8_TOKEN, TSR_KV_I8_HEAD,
                                                TSR_KV_I8_CHANNEL};
  return kFormats.at(static_cast<size_t>(attention_.kv));
}

int64_t AttentionCase::code_bytes() const {
  return attention_.kv == KvType::kF16 || attention_.kv == KvType::kBf16 ? 2
                                                                         : 1;
}

void AttentionCase::choose_scales() {
  std::uniform_real_distribution<float> scale(0.01f, 0.05f);
  const int64_t each = format() == TSR_KV_I8_CHANNEL ? attention_.qk_dim : 1;
  kv_scale_.resize(static_cast<size_t>(2 * attention_.num_kv_heads * each));
  for (float& value : kv_scale_) value = scale(rng_);
  // What lies in K has K's scales.
  if (attention_.v_in_k) {
    std::copy_n(kv_scale_.begin(), kv_scale_.size() / 2,
                kv_scale_.begin() + static_cast<int64_t>(kv_scale_.size() / 2));
  }
  const auto heads = static_cast<size_t>(attention_.num_q_heads);
  thresholds_.resize(heads * kNumThresholds);
  if (attention_.kv != KvType::kFa3) return;
  for (size_t head = 0; head < heads; ++head) {
    const float q_scale = kQueryScale + 0.001f * static_cast<float>(head);
    q_inverse_.push_back(1.0f / q_scale);
    const size_t kv_head = head / static_cast<size_t>(plan_->group());
    format::probability_thresholds(
        double{q_scale} * kv_scale_[kv_head] * kSoftmaxScale,
        std::span<int32_t, kNumThresholds>(
            thresholds_.data() + head * kNumThresholds, kNumThresholds));
  }
}

void AttentionCase::fill_cache() {
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> code(-127, 127);
  std::uniform_real_distribution<float> scale(0.01f, 0.05f);
  const auto heads =
      table_.size() *
      static_cast<size_t>(attention_.block_size * attention_.num_kv_heads);
  const Half half = dtype() == TSR_F16 ? Half::kF16 : Half::kBf16;
  const auto qk_dim = static_cast<size_t>(attention_.qk_dim);
  for (size_t part = 0; part < 2; ++part) {
    std::vector<uint16_t>& codes = codes_.at(part);
    codes.resize(heads * qk_dim);
    for (size_t i = 0; i < codes.size(); ++i) {
      const bool is_padding =
          part == 1 && static_cast<int64_t>(i % qk_dim) >= attention_.v_dim;
      codes[i] = code_bytes() == 2 ? half_from_f32(half, normal(rng_))
                                   : static_cast<uint16_t>(code(rng_));
      if (is_padding) codes[i] = 0;
    }
    token_scales_.at(part).resize(heads);
    for (float& value : token_scales_.at(part)) value = scale(rng_);
  }
  if (!attention_.v_in_k) return;
  codes_[1] = codes_[0];
  token_scales_[1] = token_scales_[0];
}

int64_t AttentionCase::slot(int64_t sequence, int64_t key) const {
  const int64_t block = attention_.block_size;
  return table_[static_cast<size_t>(sequence * blocks_per_seq_ + key / block)] *
             block +
         key % block;
}

KvLayout AttentionCase::layout_of(int64_t v_dim, bool v_in_k) const {
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = format();
  desc.num_kv_heads = static_cast<uint32_t>(attention_.num_kv_heads);
  desc.head_dim = static_cast<uint32_t>(attention_.qk_dim);
  desc.block_size = static_cast<uint32_t>(attention_.block_size);
  desc.num_blocks = static_cast<uint32_t>(table_.size());
  KvLayout layout = make_kv_layout(desc);
  layout.v_dim = v_dim;
  layout.v_in_k = v_in_k;
  return layout;
}

std::vector<std::byte> AttentionCase::pool_memory(
    const KvLayout& layout) const {
  std::vector<std::byte> memory(
      static_cast<size_t>(layout.block_bytes * layout.num_blocks));
  const KvPool pool{layout, memory.data()};
  const auto D = static_cast<size_t>(attention_.qk_dim);
  size_t at = 0;
  for (int64_t slot = 0; slot < layout.num_blocks * layout.block_size; ++slot) {
    for (int64_t head = 0; head < layout.num_kv_heads; ++head, ++at) {
      for (const KvPart part : {KvPart::kKey, KvPart::kValue}) {
        if (part == KvPart::kValue && layout.v_in_k) continue;
        const auto number = static_cast<size_t>(part);
        const auto dims = static_cast<size_t>(
            part == KvPart::kKey ? layout.head_dim : layout.v_dim);
        std::byte* target = pool.codes(part, slot, head);
        for (size_t d = 0; d < dims; ++d) {
          std::memcpy(target + d * static_cast<size_t>(code_bytes()),
                      &codes_.at(number)[at * D + d],
                      static_cast<size_t>(code_bytes()));
        }
        if (format() != TSR_KV_I8_TOKEN) continue;
        std::memcpy(pool.token_scale(part, slot, head),
                    &token_scales_.at(number)[at], sizeof(float));
      }
    }
  }
  return memory;
}

std::vector<uint16_t> AttentionCase::fast() {
  std::vector<uint16_t> bits(output_size());
  const KvLayout layout = layout_of(attention_.v_dim, attention_.v_in_k);
  std::vector<std::byte> memory = pool_memory(layout);
  // Scales of V follow K's, as many as V has dims.
  std::vector<float> scales = kv_scale_;
  if (attention_.kv == KvType::kS8Channel) {
    scales = device_scales(KvPart::kKey);
    const std::vector<float> more = device_scales(KvPart::kValue);
    scales.insert(scales.end(), more.begin(), more.end());
  }
  AttentionStep op;
  op.num_seqs = static_cast<int64_t>(seq_lens_.size());
  op.num_tokens = num_tokens_;
  op.num_q_heads = attention_.num_q_heads;
  op.q = {q_.data(), dtype(), attention_.num_q_heads * attention_.qk_dim};
  op.out = {bits.data(), dtype(), attention_.num_q_heads * attention_.v_dim};
  op.pool = {layout, memory.data()};
  op.q_starts = q_starts_.data();
  op.seq_lens = seq_lens_.data();
  op.block_table = table_.data();
  op.max_blocks_per_seq = blocks_per_seq_;
  op.mask = !attention_.causal       ? TSR_MASK_FULL
            : attention_.window == 0 ? TSR_MASK_CAUSAL
                                     : TSR_MASK_SLIDING;
  op.window = attention_.window;
  op.scale = kSoftmaxScale;
  op.kv_scale = scales.data();
  op.q_inv = q_inverse_.data();
  op.thresholds = thresholds_.data();
  op.tiling = {plan_->tile_keys, plan_->tile_rows, plan_->num_splits};
  AttentionScratch scratch;
  if (attention_.kv == KvType::kFa3) {
    attention_fa3(op, scratch, {});
  } else {
    attention(op, scratch, {});
  }
  return bits;
}

// What the oracle's bound leaves out: a weight, and a result, below the least
// normal f16 is off by half of the least one, 2^-25, whatever its size; weights
// are of a sum of at least 1.
double AttentionCase::below_halves() const {
  if (attention_.kv == KvType::kFa3) return 0;
  constexpr double kMostValue = 127 * 0.05;  // as choose_scales
  const auto keys = static_cast<double>(*std::max_element(
      attention_.seq_lens.begin(), attention_.seq_lens.end()));
  return std::ldexp(keys * kMostValue + 1, -25);
}

void AttentionCase::oracle(std::vector<double>& out_values,
                           std::vector<double>& out_bound) {
  const KvLayout layout = layout_of(attention_.qk_dim, false);
  std::vector<std::byte> memory = pool_memory(layout);
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = format();
  desc.num_kv_heads = static_cast<uint32_t>(layout.num_kv_heads);
  desc.head_dim = static_cast<uint32_t>(layout.head_dim);
  desc.block_size = static_cast<uint32_t>(layout.block_size);
  desc.num_blocks = static_cast<uint32_t>(layout.num_blocks);
  const auto pool = reference::KvPool::open(desc, memory);
  ASSERT_TRUE(pool.ok());
  const Half half = dtype() == TSR_F16 ? Half::kF16 : Half::kBf16;
  std::vector<float> q;
  for (const uint16_t bits : q_) q.push_back(f32_from(half, bits));
  reference::Attention p;
  p.num_seqs = static_cast<uint32_t>(seq_lens_.size());
  p.num_q_heads = static_cast<uint32_t>(attention_.num_q_heads);
  p.q = q.data();
  p.q_starts = q_starts_.data();
  p.seq_lens = seq_lens_.data();
  p.block_table = table_.data();
  p.max_blocks_per_seq = static_cast<uint32_t>(blocks_per_seq_);
  p.mask = !attention_.causal       ? TSR_MASK_FULL
           : attention_.window == 0 ? TSR_MASK_CAUSAL
                                    : TSR_MASK_SLIDING;
  p.window = static_cast<uint32_t>(attention_.window);
  p.scale = kSoftmaxScale;
  p.kv_scale = kv_scale_.data();
  p.q_inv = q_inverse_.data();
  p.thresholds = thresholds_.data();
  std::vector<double> values(q.size());
  std::vector<double> bound(q.size(), 0);
  if (attention_.kv == KvType::kFa3) {
    std::vector<float> exact(q.size());
    ASSERT_TRUE(reference::attention_fa3(p, *pool, exact.data()).ok());
    for (size_t i = 0; i < exact.size(); ++i) {
      values[i] = f32_from(half, half_from_f32(half, exact[i]));
    }
  } else {
    ASSERT_TRUE(reference::attention(p, *pool, values.data()).ok());
    ASSERT_TRUE(
        reference::attention_bound(
            p, *pool, {TSR_ERROR_HALF_PRODUCTS, dtype(), dtype()}, bound.data())
            .ok());
  }
  // Of each head the first dims are V's.
  out_values.clear();
  out_bound.clear();
  for (size_t i = 0; i < q.size(); ++i) {
    if (static_cast<int64_t>(i) % attention_.qk_dim >= attention_.v_dim) {
      continue;
    }
    out_values.push_back(values[i]);
    out_bound.push_back(bound[i] + below_halves());
  }
}

}  // namespace tessera::npu
