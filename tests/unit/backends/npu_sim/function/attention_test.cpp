// SPDX-License-Identifier: Apache-2.0
//
// Attention: fa3 and kv_append have the oracle's bits; float attention has the
// bits of its written definition and lies within the oracle's bound.

#include "backends/npu_sim/function/attention/attention.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/function/attention/kv_append.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/format/kv_block.hpp"
#include "tessera/error.hpp"
#include "tessera/portable_math.h"
#include "tests/unit/framework/conformance/reference/paged_step.hpp"

namespace tessera::npu {
namespace {

using reference::PagedStep;
using reference::StepSequence;

std::vector<std::vector<StepSequence>> batches() {
  return {{{1, 1}},
          {{1, 31}},
          {{5, 5}},
          {{17, 30}},
          {{1, 7}, {3, 12}, {16, 16}, {1, 32}}};
}

KvPool pool_of(PagedStep& step) {
  return {make_kv_layout(step.desc), step.memory.data()};
}

AttentionStep our_op(PagedStep& step, std::vector<float>& out) {
  const reference::Attention& p = step.attention;
  AttentionStep op;
  op.num_seqs = p.num_seqs;
  op.num_tokens = static_cast<int64_t>(step.num_tokens());
  op.num_q_heads = p.num_q_heads;
  const int64_t width = int64_t{p.num_q_heads} * step.desc.head_dim;
  out.assign(step.q_size(), NAN);
  op.q = {step.q.data(), TSR_F32, width};
  op.out = {out.data(), TSR_F32, width};
  op.pool = pool_of(step);
  op.q_starts = p.q_starts;
  op.seq_lens = p.seq_lens;
  op.block_table = p.block_table;
  op.max_blocks_per_seq = p.max_blocks_per_seq;
  op.mask = p.mask;
  op.window = p.window;
  op.scale = p.scale;
  op.kv_scale = p.kv_scale;
  return op;
}

struct MaskCase {
  uint32_t mask;
  uint32_t window;
};
constexpr MaskCase kMasks[] = {
    {TSR_MASK_CAUSAL, 0}, {TSR_MASK_FULL, 0}, {TSR_MASK_SLIDING, 3}};

// Reads a key or value as the definition says the cube sees it.
std::vector<float> head_of(PagedStep& step, reference::KvPart part,
                           uint64_t slot, uint32_t head) {
  const reference::KvPool pool = step.pool();
  const uint32_t D = step.desc.head_dim;
  std::vector<double> exact(D);
  pool.read(part, slot, head, step.attention.kv_scale, exact);
  std::vector<float> values(D);
  const Half type = step.desc.format == TSR_KV_BF16 ? Half::kBf16 : Half::kF16;
  for (uint32_t d = 0; d < D; ++d) {
    values[d] = rounded_to_half(type, static_cast<float>(exact[d]));
  }
  return values;
}

// One query row as attention.hpp defines it, key by key.
std::vector<float> defined_row(PagedStep& step, uint32_t seq, uint32_t token,
                               uint32_t head, uint32_t position) {
  const reference::Attention& p = step.attention;
  const uint32_t D = step.desc.head_dim;
  const Half type = step.desc.format == TSR_KV_BF16 ? Half::kBf16 : Half::kF16;
  const uint32_t kv_head = head / (p.num_q_heads / step.desc.num_kv_heads);
  const float* q = p.q + (size_t{token} * p.num_q_heads + head) * D;
  const auto seq_len = static_cast<uint32_t>(p.seq_lens[seq]);
  uint32_t end = p.mask == TSR_MASK_FULL ? seq_len : position + 1;
  uint32_t begin = 0;
  if (p.mask == TSR_MASK_SLIDING && end > p.window) begin = end - p.window;
  // Sequences are shorter than a tile, so there is one.
  std::vector<float> scores;
  float top = -INFINITY;
  std::vector<std::vector<float>> values;
  for (uint32_t j = begin; j < end; ++j) {
    const uint32_t bs = step.desc.block_size;
    const auto block = static_cast<uint64_t>(
        p.block_table[seq * p.max_blocks_per_seq + j / bs]);
    const uint64_t slot = block * bs + j % bs;
    const auto key = head_of(step, reference::KvPart::kKey, slot, kv_head);
    values.push_back(head_of(step, reference::KvPart::kValue, slot, kv_head));
    float sum = 0.0f;
    for (uint32_t d = 0; d < D; ++d) {
      sum = static_cast<float>(double{sum} +
                               double{rounded_to_half(type, q[d])} * key[d]);
    }
    scores.push_back(sum * p.scale);
    top = std::max(top, scores.back());
  }
  float lanes[TSR_SUM_LANES] = {};
  std::vector<float> product(D);
  for (size_t j = 0; j < scores.size(); ++j) {
    const float weight = tsr_exp_f32(scores[j] - top);
    lanes[(begin + j) % TSR_SUM_LANES] += weight;
    for (uint32_t d = 0; d < D; ++d) {
      product[d] = static_cast<float>(double{product[d]} +
                                      double{rounded_to_half(type, weight)} *
                                          values[j][d]);
    }
  }
  const float total = tsr_sum_lanes_f32(lanes);
  for (float& value : product) value = value / total;
  return product;
}

TEST(NpuAttention, HasTheBitsOfItsDefinition) {
  for (const uint32_t format :
       {TSR_KV_F16, TSR_KV_BF16, TSR_KV_I8_TOKEN, TSR_KV_I8_CHANNEL}) {
    for (const auto& batch : batches()) {
      for (const MaskCase& mask : kMasks) {
        PagedStep step = reference::make_step(format, 6, 2, 24, batch);
        step.attention.mask = mask.mask;
        step.attention.window = mask.window;
        std::vector<float> out;
        AttentionScratch scratch;
        attention(our_op(step, out), scratch, {});
        size_t at = 0;
        for (uint32_t s = 0; s < batch.size(); ++s) {
          for (uint32_t t = 0; t < batch[s].q_len; ++t) {
            const auto token = static_cast<uint32_t>(step.q_starts[s]) + t;
            for (uint32_t h = 0; h < 6; ++h) {
              const auto row = defined_row(
                  step, s, token, h, batch[s].seq_len - batch[s].q_len + t);
              for (const float expected : row) {
                ASSERT_EQ(out[at++], expected)
                    << "format " << format << " seq " << s << " t " << t
                    << " h " << h << " mask " << mask.mask;
              }
            }
          }
        }
      }
    }
  }
}

// Longer than a tile, where the running maximum and the rescaling matter.
TEST(NpuAttention, StaysWithinTheOraclesBoundOverSeveralTiles) {
  for (const uint32_t format :
       {TSR_KV_F16, TSR_KV_BF16, TSR_KV_I8_TOKEN, TSR_KV_I8_CHANNEL}) {
    std::mt19937 rng(42);
    PagedStep step = reference::make_step(format, 4, 2, 16, {{1, 1}});
    step.desc.block_size = 16;
    step.desc.num_blocks = 40;
    step.attention.max_blocks_per_seq = 40;
    step.memory.assign(
        format::kv_block_layout(step.desc)->bytes * step.desc.num_blocks,
        std::byte{});
    step.block_table.clear();
    for (int32_t b = 39; b >= 0; --b) step.block_table.push_back(b);
    step.sequences = {{19, 600}};
    step.q_starts = {0, 19};
    step.seq_lens = {600};
    step.k.clear();
    step.v.clear();
    reference::fill_cache(step, rng);
    step.q = reference::normal_values(rng, 19 * 4 * 16);
    step.attention.q = step.q.data();
    step.attention.q_starts = step.q_starts.data();
    step.attention.seq_lens = step.seq_lens.data();
    step.attention.block_table = step.block_table.data();
    for (const MaskCase& mask :
         {MaskCase{TSR_MASK_CAUSAL, 0}, MaskCase{TSR_MASK_SLIDING, 130}}) {
      step.attention.mask = mask.mask;
      step.attention.window = mask.window;
      std::vector<float> out;
      AttentionScratch scratch;
      attention(our_op(step, out), scratch, {});
      std::vector<double> expected(out.size());
      std::vector<double> bound(out.size());
      const uint32_t half = format == TSR_KV_BF16 ? TSR_BF16 : TSR_F16;
      ASSERT_TRUE(
          reference::attention(step.attention, step.pool(), expected.data())
              .ok());
      ASSERT_TRUE(reference::attention_bound(
                      step.attention, step.pool(),
                      {TSR_ERROR_HALF_PRODUCTS, TSR_F32, half}, bound.data())
                      .ok());
      for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_LE(std::fabs(out[i] - expected[i]), bound[i])
            << "format " << format << " i " << i;
      }
    }
  }
}

TEST(NpuAttentionFa3, GivesTheOraclesBits) {
  for (const auto& batch : batches()) {
    for (const MaskCase& mask : kMasks) {
      PagedStep step = reference::make_step(TSR_KV_I8_HEAD, 6, 2, 24, batch);
      step.attention.mask = mask.mask;
      step.attention.window = mask.window;
      std::vector<float> q_inv;
      std::vector<int32_t> thresholds(6 * 127);
      for (size_t h = 0; h < 6; ++h) {
        const float q_scale = 0.02f + 0.001f * static_cast<float>(h);
        q_inv.push_back(1.0f / q_scale);
        const double c =
            double{q_scale} * step.kv_scale[h / 3] * step.attention.scale;
        format::probability_thresholds(
            c, std::span<int32_t, 127>(thresholds.data() + h * 127, 127));
      }
      step.attention.q_inv = q_inv.data();
      step.attention.thresholds = thresholds.data();
      if (step.q.size() > 200) step.q[30] = NAN;
      std::vector<float> out;
      AttentionStep op = our_op(step, out);
      op.q_inv = q_inv.data();
      op.thresholds = thresholds.data();
      AttentionScratch scratch;
      attention_fa3(op, scratch, {});
      std::vector<float> expected(out.size());
      ASSERT_TRUE(
          reference::attention_fa3(step.attention, step.pool(), expected.data())
              .ok());
      for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_TRUE(out[i] == expected[i] ||
                    (std::isnan(out[i]) && std::isnan(expected[i])))
            << out[i] << " not " << expected[i] << " at " << i;
      }
    }
  }
}

TEST(NpuAttention, NamesWhatDoesNotFit) {
  PagedStep step = reference::make_step(TSR_KV_F16, 6, 2, 24, {{3, 12}});
  std::vector<float> out;
  AttentionScratch scratch;
  step.block_table[1] = 99;
  AttentionStep op = our_op(step, out);
  try {
    attention(op, scratch, {});
    FAIL() << "was taken";
  } catch (const sdk::Error& error) {
    EXPECT_STREQ(error.what(),
                 "attention: sequence 0: block 99 at 1 of its table is not in "
                 "the pool of 8");
  }
  op.num_q_heads = 5;
  EXPECT_THROW(attention(op, scratch, {}), sdk::Error);
}

TEST(NpuKvAppend, FillsThePoolWithTheOraclesBits) {
  constexpr uint32_t kHeads = 2;
  constexpr uint32_t kHeadDim = 24;
  constexpr uint32_t kTokens = 9;
  std::mt19937 rng(42);
  const auto k = reference::normal_values(rng, kTokens * kHeads * kHeadDim);
  const auto v = reference::normal_values(rng, k.size());
  const auto table = reference::normal_values(rng, 20 * 16);
  std::vector<int32_t> slots = {5, 0, -1, 31, 12, 7, -3, 8, 30};
  std::vector<int32_t> positions = {0, 1, 2, 3, 19, 5, 6, 7, 8};
  for (const uint32_t format : {TSR_KV_F16, TSR_KV_BF16, TSR_KV_I8_TOKEN,
                                TSR_KV_I8_CHANNEL, TSR_KV_I8_HEAD}) {
    for (const uint32_t style :
         {TSR_ROPE_NONE, TSR_ROPE_HALF, TSR_ROPE_INTERLEAVED}) {
      PagedStep step =
          reference::make_step(format, kHeads, kHeads, kHeadDim, {{1, 1}});
      std::vector<std::byte> expected_memory(step.memory.size());
      std::vector<std::byte> memory(step.memory.size());
      const float* kv_inv = step.kv_inv.empty() ? nullptr : step.kv_inv.data();
      const reference::KvAppend p{
          kTokens,      k.data(), v.data(), slots.data(), positions.data(),
          table.data(), 20,       style,    16,           kv_inv};
      const auto pool = reference::KvPool::open(step.desc, expected_memory);
      ASSERT_TRUE(reference::kv_append(p, *pool).ok());
      KvAppend op;
      op.num_tokens = kTokens;
      op.k = {k.data(), TSR_F32, kHeads * kHeadDim};
      op.v = {v.data(), TSR_F32, kHeads * kHeadDim};
      op.pool = {make_kv_layout(step.desc), memory.data()};
      op.slot_mapping = slots.data();
      op.style = style;
      op.rotary_dim = 16;
      op.positions = positions.data();
      op.table = table.data();
      op.max_positions = 20;
      op.kv_inv = kv_inv;
      kv_append(op, {});
      EXPECT_EQ(memory, expected_memory) << "format " << format;
    }
  }
}

}  // namespace
}  // namespace tessera::npu
