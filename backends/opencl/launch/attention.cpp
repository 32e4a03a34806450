// SPDX-License-Identifier: Apache-2.0
//
// Attention and kv_append over a pool of this device.

#include <algorithm>
#include <string>

#include "backends/opencl/device.hpp"
#include "backends/opencl/launch/launch.hpp"
#include "backends/opencl/runtime/program_builder.hpp"

namespace tessera::opencl {
namespace {

constexpr uint32_t kMaxRows = 8;  // heads times tokens of an item or a group

// One kernel for steps of one token per sequence, one for longer ones.
struct AttentionKernel {
  RowKernel kernel;
  uint32_t tokens = 1;  // of a work-item, or of a group
};

// A group has its rows of q, and as many keys, in local memory, of which some
// devices have 32 KiB: rows of 8 KiB, keys of 16 KiB.
uint32_t rows_at_once(const OpenClDevice& device, uint32_t head_dim) {
  if (device.options().form == Form::kBlock) return kMaxRows;
  return std::clamp(2048 / head_dim, 1U, kMaxRows);
}

uint32_t keys_at_once(const OpenClDevice& device, uint32_t head_dim) {
  constexpr uint32_t kMaxKeys = 16;
  if (device.options().form == Form::kBlock) return kMaxKeys;
  return std::clamp(4096 / head_dim, 1U, kMaxKeys);
}

class AttentionLaunch final : public Launch {
 public:
  AttentionLaunch(const LaunchInput& input, const tsr_op_attention& op)
      : device_(input.device),
        op_(op),
        pool_(device_.kv_pool(input.program.kv_pools()[op.kv])),
        q_(input.rows(op.q)),
        out_(input.rows(op.out)),
        q_starts_(input.rows(op.q_starts)),
        seq_lens_(input.rows(op.seq_lens)),
        block_table_(input.rows(op.block_table)),
        q_inv_(input.rows(op.q_inv)),
        kv_scale_(input.rows(op.kv_scale)),
        thresholds_(input.rows(op.thresholds)) {
    const uint32_t ratio = op.num_q_heads / pool_->desc.num_kv_heads;
    const uint32_t rows = rows_at_once(device_, pool_->desc.head_dim);
    heads_ = std::min(ratio, rows);
    chunks_ = (ratio + heads_ - 1) / heads_;
    decode_ = make_kernel(input, 1);
    prefill_ = make_kernel(input, std::max(1U, rows / heads_));
  }

  std::string kernel_name() const override {
    if (is_integer()) return "attention_fa3";
    return "attention_" + sdk::names::kv_format(pool_->desc.format);
  }

  void enqueue(const Step& step) override {
    AttentionKernel& choice =
        step.submission.max_q_len == 1 ? decode_ : prefill_;
    const cl_mem nothing = device_.nothing();
    Kernel& kernel = choice.kernel.kernel;
    kernel.arg(q_.memory(step, nothing)).arg(q_.entry_place(step));
    kernel.arg(out_.memory(step, nothing)).arg(out_.entry_place(step));
    kernel.arg(pool_->buffer->memory()).arg(pool_->place);
    kernel.arg(q_starts_.memory(step, nothing));
    kernel.arg(seq_lens_.memory(step, nothing));
    kernel.arg(block_table_.memory(step, nothing));
    kernel.arg(kv_scale_.memory(step, nothing));
    kernel.arg(arguments(step)).arg(step.fault);
    if (is_integer()) {
      kernel.arg(q_inv_.memory(step, nothing));
      kernel.arg(thresholds_.memory(step, nothing));
    }
    // Every sequence may end with an item or a group that is not full.
    const uint32_t tokens = step.submission.num_tokens;
    const size_t parts =
        choice.tokens == 1 ? tokens
                           : tokens / choice.tokens + step.submission.num_seqs;
    choice.kernel.run(step, parts, size_t{pool_->desc.num_kv_heads} * chunks_);
  }

 private:
  bool is_integer() const { return pool_->desc.format == TSR_KV_I8_HEAD; }

  AttentionKernel make_kernel(const LaunchInput& input, uint32_t tokens) const {
    const uint32_t head_dim = pool_->desc.head_dim;
    const std::string constants =
        define("HEAD_DIM", head_dim) + define("KV_FORMAT", pool_->desc.format) +
        define("HEADS", heads_) + define("TOKENS", tokens) +
        define("KEYS", keys_at_once(device_, head_dim));
    const bool tiles = device_.options().form == Form::kTile;
    std::vector<std::string> shared = {
        "attention", tiles ? "attention_group" : "attention_vectors"};
    if (!is_integer()) {
      return {input.row_kernel("attention", shared, "attention", constants),
              tokens};
    }
    shared.emplace_back("attention_codes");
    return {
        input.row_kernel("attention_fa3", shared, "attention_fa3", constants),
        tokens};
  }

  AttentionArgs arguments(const Step& step) const {
    AttentionArgs args;
    args.q_starts_offset = q_starts_.offset(step);
    args.seq_lens_offset = seq_lens_.offset(step);
    args.block_table_offset = block_table_.offset(step);
    args.kv_scale_offset = kv_scale_.offset(step);
    args.q_inv_offset = q_inv_.offset(step);
    args.thresholds_offset = thresholds_.offset(step);
    args.num_seqs = static_cast<cl_int>(step.submission.num_seqs);
    args.num_tokens = static_cast<cl_int>(step.submission.num_tokens);
    args.max_blocks_per_seq = static_cast<cl_int>(block_table_.width());
    args.num_q_heads = static_cast<cl_int>(op_.num_q_heads);
    args.mask = static_cast<cl_int>(op_.mask);
    args.window =
        static_cast<cl_int>(std::min<uint32_t>(op_.window, INT32_MAX));
    args.scale = op_.scale;
    return args;
  }

  OpenClDevice& device_;
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
  uint32_t heads_ = 1;
  uint32_t chunks_ = 1;  // of the query heads that share a KV head
  AttentionKernel decode_;
  AttentionKernel prefill_;
};

class KvAppendLaunch final : public Launch {
 public:
  KvAppendLaunch(const LaunchInput& input, const tsr_op_kv_append& op)
      : device_(input.device),
        op_(op),
        pool_(device_.kv_pool(input.program.kv_pools()[op.kv])),
        k_(input.rows(op.k)),
        v_(input.rows(op.v)),
        slots_(input.rows(op.slot_mapping)),
        positions_(input.rows(op.positions)),
        table_(input.rows(op.table)),
        inv_(input.rows(op.kv_inv)),
        kernel_(input.row_kernel(
            "kv_append", {"rotate"}, "rotate",
            "-DHEAD_DIM=" + std::to_string(pool_->desc.head_dim))) {}

  std::string kernel_name() const override { return "kv_append"; }

  void enqueue(const Step& step) override {
    const cl_mem nothing = device_.nothing();
    RotateArgs rotate;
    rotate.positions_offset = positions_.offset(step);
    rotate.table_offset = table_.offset(step);
    rotate.style = static_cast<cl_int>(op_.style);
    rotate.rotary_dim = static_cast<cl_int>(op_.rotary_dim);
    rotate.max_positions =
        table_.exists() ? static_cast<cl_int>(table_.max_entries()) : 0;
    rotate.head_dim = static_cast<cl_int>(pool_->desc.head_dim);
    Kernel& kernel = kernel_.kernel;
    kernel.arg(k_.memory(step, nothing)).arg(k_.entry_place(step));
    kernel.arg(v_.memory(step, nothing)).arg(v_.entry_place(step));
    kernel.arg(pool_->buffer->memory()).arg(pool_->place);
    kernel.arg(slots_.memory(step, nothing)).arg(slots_.offset(step));
    kernel.arg(positions_.memory(step, nothing));
    kernel.arg(table_.memory(step, nothing)).arg(rotate);
    kernel.arg(inv_.memory(step, nothing)).arg(inv_.offset(step));
    kernel.arg(step.fault);
    kernel_.run(step, k_.entries(step), pool_->desc.num_kv_heads);
  }

 private:
  OpenClDevice& device_;
  tsr_op_kv_append op_;
  std::shared_ptr<KvPool> pool_;
  TensorRows k_;
  TensorRows v_;
  TensorRows slots_;
  TensorRows positions_;
  TensorRows table_;
  TensorRows inv_;
  RowKernel kernel_;
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

}  // namespace tessera::opencl
