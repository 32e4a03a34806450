// SPDX-License-Identifier: Apache-2.0
//
// Attention and kv_append over a pool of this device.

#include <algorithm>
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/launch.hpp"
#include "tessera/names.hpp"

namespace tessera::vulkan {
namespace {

// What every form of attention has.
class AttentionLaunch : public Launch {
 public:
  AttentionLaunch(const LaunchInput& input, const tsr_op_attention& op)
      : device_(input.device),
        op_(op),
        pool_(input.device.kv_pool(input.program.kv_pools()[op.kv])),
        index_(input.index),
        max_tokens_(input.program.desc().max_tokens),
        max_seqs_(input.program.desc().max_seqs),
        q_(input.rows(op.q)),
        out_(input.rows(op.out)),
        q_starts_(input.rows(op.q_starts)),
        seq_lens_(input.rows(op.seq_lens)),
        block_table_(input.rows(op.block_table)),
        q_inv_(input.rows(op.q_inv)),
        kv_scale_(input.rows(op.kv_scale)),
        thresholds_(input.rows(op.thresholds)) {}

  std::string kernel_name() const override {
    if (is_integer()) return "attention_fa3";
    return "attention_" + sdk::names::kv_format(pool_->desc().format);
  }

 protected:
  bool is_integer() const { return pool_->desc().format == TSR_KV_I8_HEAD; }
  VulkanDevice& device() const { return device_; }
  const tsr_op_attention& op() const { return op_; }
  const KvPool& pool() const { return *pool_; }
  uint32_t out_dtype() const { return out_.dtype(); }
  uint32_t index() const { return index_; }
  uint32_t max_tokens() const { return max_tokens_; }
  uint32_t max_seqs() const { return max_seqs_; }

  AttentionArgs arguments(const Step& step) const {
    AttentionArgs args;
    args.q = q_.entry_place(step);
    args.y = out_.entry_place(step);
    args.kv = pool_->rows();
    args.q_starts = q_starts_.address(step);
    args.seq_lens = seq_lens_.address(step);
    args.block_table = block_table_.address(step);
    args.kv_scale = kv_scale_.address(step);
    args.q_inv = q_inv_.address(step);
    args.thresholds = thresholds_.address(step);
    args.fault = step.fault;
    args.num_seqs = static_cast<int32_t>(step.submission.num_seqs);
    args.num_tokens = static_cast<int32_t>(step.submission.num_tokens);
    args.max_blocks_per_seq = static_cast<int32_t>(block_table_.width());
    args.num_q_heads = static_cast<int32_t>(op_.num_q_heads);
    args.head_dim = static_cast<int32_t>(pool_->desc().head_dim);
    args.mask = static_cast<int32_t>(op_.mask);
    args.window =
        static_cast<int32_t>(std::min<uint32_t>(op_.window, INT32_MAX));
    args.scale = op_.scale;
    return args;
  }

 private:
  VulkanDevice& device_;
  tsr_op_attention op_;
  std::shared_ptr<KvPool> pool_;
  uint32_t index_;
  uint32_t max_tokens_;
  uint32_t max_seqs_;
  TensorRows q_;
  TensorRows out_;
  TensorRows q_starts_;
  TensorRows seq_lens_;
  TensorRows block_table_;
  TensorRows q_inv_;
  TensorRows kv_scale_;
  TensorRows thresholds_;
};

// A work-group for a query head of a token.
class AttentionTile final : public AttentionLaunch {
 public:
  using AttentionLaunch::AttentionLaunch;

  Dispatch dispatch(const Step& /*step*/, uint32_t /*slot*/) override {
    return {
        device().pipelines().get(is_integer() ? "attention_fa3" : "attention",
                                 {pool().desc().format}),
        {}};
  }

  void fill(const Step& step, DispatchSlot* slots) override {
    set_slot(slots[0], step.submission.num_tokens, op().num_q_heads,
             arguments(step));
  }
};

// A subgroup for the heads of a KV head, and for several tokens in prefill.
class AttentionBlock final : public AttentionLaunch {
 public:
  AttentionBlock(const LaunchInput& input, const tsr_op_attention& op)
      : AttentionLaunch(input, op) {
    const uint32_t ratio = op.num_q_heads / pool().desc().num_kv_heads;
    const uint32_t rows = std::clamp(kMaxSums / lane_values(), 1U, kMaxRows);
    heads_ = std::min(ratio, rows);
    chunks_ = (ratio + heads_ - 1) / heads_;
    tokens_[kDecode] = 1;
    tokens_[kPrefill] = std::max(1U, rows / heads_);
  }

  // False where a row of the cache is not whole texels, or four rows that a
  // lane takes are not in one block.
  bool fits() const {
    const KvRows& rows = pool().rows();
    constexpr uint64_t kTexel = 16;
    return lane_values() <= kMaxSums && span() <= kMaxSpan &&
           pool().desc().block_size % 4 == 0 &&
           pool().desc().head_dim % per_texel() == 0 &&
           rows.row_bytes % kTexel == 0 &&
           fits_texels(device().gpu().facts(), pool_texels()) &&
           query_bytes() / kTexel <= device().gpu().facts().max_texels;
  }

  // For each kind of step: the queries, then attention.
  uint32_t num_slots() const override { return 2 * kNumSteps; }

  // The queries, then FA3's thresholds.
  uint64_t scratch_bytes() const override {
    return query_bytes() + distance_bytes();
  }

  uint32_t length_class(uint32_t max_seq_len) const override {
    return (keeps_all(kDecode, max_seq_len) ? 0U : 1U) +
           (keeps_all(kPrefill, max_seq_len) ? 0U : 2U);
  }

  void fill(const Step& step, DispatchSlot* slots) override {
    const StepKind phase = step.submission.max_q_len == 1 ? kDecode : kPrefill;
    const bool is_long = !keeps_all(phase, step.submission.max_seq_len);
    const uint32_t chosen = is_long ? phase + kLong : phase;
    AttentionArgs args = arguments(step);
    args.queries = step.places.scratch(index());
    args.distances = args.queries + query_bytes();
    const uint32_t parts =
        num_parts(phase, step.submission.num_tokens, step.submission.num_seqs);
    for (uint32_t i = 0; i < num_slots(); ++i) slots[i].groups[0] = 0;
    for (uint32_t i = 0; i < 2; ++i) {
      set_slot(slots[size_t{2} * chosen + i], parts,
               uint64_t{pool().desc().num_kv_heads} * chunks_, args);
    }
  }

  Dispatch dispatch(const Step& step, uint32_t slot) override {
    const uint32_t kind = slot / 2;
    const std::vector<uint32_t> constants = {pool().desc().format,
                                             heads_,
                                             tokens_[kind % kLong],
                                             pool().desc().head_dim,
                                             pool().desc().block_size,
                                             span(),
                                             out_dtype(),
                                             kind < kLong ? 1U : 0U};
    Pipelines& pipelines = device().pipelines();
    if (slot % 2 == 0) return {pipelines.get("attention_query", constants), {}};
    std::vector<TexelRange> texels = {
        pool_texels(), step.places.scratch_texels(index(), 0, query_bytes())};
    if (is_integer()) {
      texels.push_back(step.places.scratch_texels(
          index(), query_bytes(), distance_bytes(), VK_FORMAT_R32G32_UINT));
    }
    return {
        pipelines.get(is_integer() ? "attention_fa3_block" : "attention_block",
                      constants),
        std::move(texels)};
  }

 private:
  // With kLong: of more keys than integer attention keeps scores of.
  enum StepKind : uint32_t { kDecode, kPrefill, kLong, kNumSteps = 2 * kLong };
  static constexpr uint32_t kMaxKept = 4096;  // as attention_fa3_block.comp
  static constexpr uint32_t kMaxRows = 8;     // as shaders/attention_parts.glsl
  static constexpr uint32_t kMaxSums = 128;   // as shaders/attention_block.comp
  static constexpr uint32_t kMaxSpan = 16;    // likewise

  uint32_t per_texel() const {
    if (pool().desc().format == TSR_KV_F32) return 4;
    return pool().desc().format <= TSR_KV_BF16 ? 8 : 16;
  }
  uint32_t row_texels() const { return pool().desc().head_dim / per_texel(); }
  // Lanes that read a row together.
  uint32_t span() const {
    return std::min(device().gpu().facts().subgroup_size,
                    std::bit_ceil(std::max(row_texels(), 1U)));
  }
  // Elements of a row that a lane has.
  uint32_t lane_values() const {
    const uint32_t lanes = device().gpu().facts().subgroup_size;
    const uint32_t texels = row_texels();
    return std::max(1U, (texels + lanes - 1) / lanes) * per_texel();
  }
  // True if scores of sequences so long have a place, or need none.
  bool keeps_all(StepKind kind, uint32_t max_seq_len) const {
    const uint32_t lanes = device().gpu().facts().subgroup_size;
    const uint32_t round_scores = 4 * heads_ * tokens_[kind];
    return !is_integer() || max_seq_len <= kMaxKept / round_scores * 4 * lanes;
  }
  // Every sequence may end with a part that is not full.
  uint32_t num_parts(StepKind kind, uint32_t tokens, uint32_t seqs) const {
    return tokens_[kind] == 1 ? tokens : tokens / tokens_[kind] + seqs;
  }
  uint64_t query_bytes() const {
    const auto bytes = [this](StepKind kind) {
      return uint64_t{num_parts(kind, max_tokens(), max_seqs())} *
             pool().desc().num_kv_heads * chunks_ * heads_ * tokens_[kind] *
             pool().desc().head_dim * sizeof(float);
    };
    constexpr uint64_t kAlignment = 256;  // more than any view of texels asks
    return (std::max(bytes(kDecode), bytes(kPrefill)) + kAlignment - 1) /
           kAlignment * kAlignment;
  }
  uint64_t distance_bytes() const {
    constexpr uint64_t kDistances = 128;  // as shaders/attention_parts.glsl
    return is_integer() ? op().num_q_heads * kDistances * 2 * sizeof(float) : 0;
  }
  TexelRange pool_texels() const {
    return {&pool().buffer(), pool().offset(), pool().bytes()};
  }

  uint32_t heads_ = 1;
  uint32_t chunks_ = 1;  // of a KV head's query heads
  uint32_t tokens_[kLong] = {1, 1};
};

class KvAppendLaunch final : public Launch {
 public:
  KvAppendLaunch(const LaunchInput& input, const tsr_op_kv_append& op)
      : op_(op),
        pool_(input.device.kv_pool(input.program.kv_pools()[op.kv])),
        k_(input.rows(op.k)),
        v_(input.rows(op.v)),
        slots_(input.rows(op.slot_mapping)),
        positions_(input.rows(op.positions)),
        table_(input.rows(op.table)),
        inv_(input.rows(op.kv_inv)),
        pipeline_(input.pipeline("kv_append",
                                 {pool_->desc().format, k_.dtype(), v_.dtype(),
                                  op_.style, pool_->desc().head_dim})) {}

  Dispatch dispatch(const Step& /*step*/, uint32_t /*slot*/) override {
    return {pipeline_, {}};
  }
  std::string kernel_name() const override { return "kv_append"; }

  void fill(const Step& step, DispatchSlot* slots) override {
    KvAppendArgs args;
    args.k = k_.entry_place(step);
    args.v = v_.entry_place(step);
    args.kv = pool_->rows();
    args.rotate.positions = positions_.address(step);
    args.rotate.table = table_.address(step);
    args.rotate.style = static_cast<int32_t>(op_.style);
    args.rotate.rotary_dim = static_cast<int32_t>(op_.rotary_dim);
    args.rotate.max_positions =
        table_.exists() ? static_cast<int32_t>(table_.max_entries()) : 0;
    args.slots = slots_.address(step);
    args.inv = inv_.address(step);
    args.fault = step.fault;
    set_slot(slots[0], k_.entries(step), pool_->desc().num_kv_heads, args);
  }

 private:
  tsr_op_kv_append op_;
  std::shared_ptr<KvPool> pool_;
  TensorRows k_;
  TensorRows v_;
  TensorRows slots_;
  TensorRows positions_;
  TensorRows table_;
  TensorRows inv_;
  VkPipeline pipeline_;
};

}  // namespace

std::unique_ptr<Launch> make_attention(const LaunchInput& input) {
  const auto op = input.op.as<tsr_op_attention>();
  if (input.device.features().form == Form::kBlock) {
    auto launch = std::make_unique<AttentionBlock>(input, op);
    if (launch->fits()) return launch;
  }
  return std::make_unique<AttentionTile>(input, op);
}

std::unique_ptr<Launch> make_kv_append(const LaunchInput& input) {
  return std::make_unique<KvAppendLaunch>(input,
                                          input.op.as<tsr_op_kv_append>());
}

}  // namespace tessera::vulkan
