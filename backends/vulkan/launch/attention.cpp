// SPDX-License-Identifier: Apache-2.0
//
// Attention and kv_append over a pool of this device.

#include <algorithm>
#include <string>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/launch.hpp"
#include "tessera/names.hpp"

namespace tessera::vulkan {
namespace {

class AttentionLaunch final : public Launch {
 public:
  AttentionLaunch(const LaunchInput& input, const tsr_op_attention& op)
      : op_(op),
        pool_(input.device.kv_pool(input.program.kv_pools()[op.kv])),
        q_(input.rows(op.q)),
        out_(input.rows(op.out)),
        q_starts_(input.rows(op.q_starts)),
        seq_lens_(input.rows(op.seq_lens)),
        block_table_(input.rows(op.block_table)),
        q_inv_(input.rows(op.q_inv)),
        kv_scale_(input.rows(op.kv_scale)),
        thresholds_(input.rows(op.thresholds)),
        pipeline_(input.pipeline(is_integer() ? "attention_fa3" : "attention",
                                 {pool_->desc.format})) {}

  Dispatch dispatch(const Step& /*step*/, uint32_t /*slot*/) override {
    return {pipeline_, {}};
  }

  std::string kernel_name() const override {
    if (is_integer()) return "attention_fa3";
    return "attention_" + sdk::names::kv_format(pool_->desc.format);
  }

  void fill(const Step& step, DispatchSlot* slots) override {
    AttentionArgs args;
    args.q = q_.entry_place(step);
    args.y = out_.entry_place(step);
    args.kv = pool_->place;
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
    args.head_dim = static_cast<int32_t>(pool_->desc.head_dim);
    args.mask = static_cast<int32_t>(op_.mask);
    args.window =
        static_cast<int32_t>(std::min<uint32_t>(op_.window, INT32_MAX));
    args.scale = op_.scale;
    set_slot(slots[0], step.submission.num_tokens, op_.num_q_heads, args);
  }

 private:
  bool is_integer() const { return pool_->desc.format == TSR_KV_I8_HEAD; }

  tsr_op_attention op_;
  std::shared_ptr<KvPool> pool_;
  TensorRows q_;
  TensorRows out_;
  TensorRows q_starts_;
  TensorRows seq_lens_;
  TensorRows block_table_;
  TensorRows q_inv_;
  TensorRows kv_scale_;
  TensorRows thresholds_;
  VkPipeline pipeline_;
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
        pipeline_(input.pipeline("kv_append", {})) {}

  Dispatch dispatch(const Step& /*step*/, uint32_t /*slot*/) override {
    return {pipeline_, {}};
  }
  std::string kernel_name() const override { return "kv_append"; }

  void fill(const Step& step, DispatchSlot* slots) override {
    KvAppendArgs args;
    args.k = k_.entry_place(step);
    args.v = v_.entry_place(step);
    args.kv = pool_->place;
    args.rotate.positions = positions_.address(step);
    args.rotate.table = table_.address(step);
    args.rotate.style = static_cast<int32_t>(op_.style);
    args.rotate.rotary_dim = static_cast<int32_t>(op_.rotary_dim);
    args.rotate.max_positions =
        table_.exists() ? static_cast<int32_t>(table_.max_entries()) : 0;
    args.rotate.head_dim = static_cast<int32_t>(pool_->desc.head_dim);
    args.slots = slots_.address(step);
    args.inv = inv_.address(step);
    args.fault = step.fault;
    set_slot(slots[0], k_.entries(step), pool_->desc.num_kv_heads, args);
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
  return std::make_unique<AttentionLaunch>(input,
                                           input.op.as<tsr_op_attention>());
}

std::unique_ptr<Launch> make_kv_append(const LaunchInput& input) {
  return std::make_unique<KvAppendLaunch>(input,
                                          input.op.as<tsr_op_kv_append>());
}

}  // namespace tessera::vulkan
