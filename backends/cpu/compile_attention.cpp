// SPDX-License-Identifier: Apache-2.0
//
// Attention and kv_append over a pool of this device.

#include <string>

#include "backends/cpu/compile_op.hpp"
#include "backends/cpu/device.hpp"
#include "backends/cpu/kernels/attention/attention.hpp"
#include "backends/cpu/kernels/attention/kv_append.hpp"

namespace tessera::cpu {
namespace {

std::shared_ptr<KvPoolPlace> pool_of(const CompileInput& input,
                                     uint32_t index) {
  const auto& pools = input.program.kv_pools();
  if (index >= pools.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "KV pool " + std::to_string(index) +
                                               " of " +
                                               std::to_string(pools.size()));
  }
  return input.device.kv_pool(pools[index]);
}

template <typename T>
T* data_or_null(const std::unique_ptr<TensorRows>& rows) {
  return rows ? rows->as<T>() : nullptr;
}

class AttentionOp final : public CompiledOp {
 public:
  AttentionOp(const CompileInput& input, const tsr_op_attention& op)
      : op_(op),
        pool_(pool_of(input, op.kv)),
        q_(input.rows(op.q)),
        out_(input.rows(op.out)),
        q_starts_(input.rows(op.q_starts)),
        seq_lens_(input.rows(op.seq_lens)),
        block_table_(input.rows(op.block_table)),
        q_inv_(input.optional_rows(op.q_inv)),
        kv_scale_(input.optional_rows(op.kv_scale)),
        thresholds_(input.optional_rows(op.thresholds)) {
    AttentionLimits limits;
    limits.max_seqs = seq_lens_.max_entries();
    limits.max_tokens = q_.max_entries();
    limits.num_q_heads = op.num_q_heads;
    limits.num_kv_heads = pool_->layout.num_kv_heads;
    limits.head_dim = pool_->layout.head_dim;
    limits.num_threads = input.device.parallel().num_threads;
    scratch_bytes_ = attention_workspace_bytes(limits);
  }

  uint64_t scratch_bytes() const override { return scratch_bytes_; }
  std::string kernel_name() const override { return "attention"; }

  void run(const RunContext& context) const override {
    Attention op;
    op.num_seqs = context.step.num_seqs;
    op.num_tokens = context.step.num_tokens;
    op.num_q_heads = op_.num_q_heads;
    op.dtype = q_.dtype();
    op.q = q_.data();
    op.q_stride = q_.entry_stride();
    op.out = out_.data();
    op.out_stride = out_.entry_stride();
    op.kv = pool_->layout;
    op.pool = pool_->memory;
    op.q_starts = q_starts_.as<const int32_t>();
    op.seq_lens = seq_lens_.as<const int32_t>();
    op.block_table = block_table_.as<const int32_t>();
    op.max_blocks_per_seq = block_table_.width();
    op.scale = op_.scale;
    op.mask = op_.mask;
    op.window = op_.window;
    op.kv_scale = data_or_null<const float>(kv_scale_);
    op.q_inv = data_or_null<const float>(q_inv_);
    op.thresholds = data_or_null<const int32_t>(thresholds_);
    attention(op,
              {reinterpret_cast<std::byte*>(context.scratch), scratch_bytes_},
              *context.exec.parallel, context.exec.isa);
  }

 private:
  tsr_op_attention op_;
  std::shared_ptr<KvPoolPlace> pool_;
  TensorRows q_;
  TensorRows out_;
  TensorRows q_starts_;
  TensorRows seq_lens_;
  TensorRows block_table_;
  std::unique_ptr<TensorRows> q_inv_;
  std::unique_ptr<TensorRows> kv_scale_;
  std::unique_ptr<TensorRows> thresholds_;
  uint64_t scratch_bytes_ = 0;
};

class KvAppendOp final : public CompiledOp {
 public:
  KvAppendOp(const CompileInput& input, const tsr_op_kv_append& op)
      : op_(op),
        pool_(pool_of(input, op.kv)),
        k_(input.rows(op.k)),
        v_(input.rows(op.v)),
        slot_mapping_(input.rows(op.slot_mapping)),
        positions_(input.optional_rows(op.positions)),
        table_(input.optional_rows(op.table)),
        kv_inv_(input.optional_rows(op.kv_inv)) {}

  std::string kernel_name() const override { return "kv_append"; }

  void run(const RunContext& context) const override {
    KvAppend op;
    op.num_tokens = k_.entries(context.step);
    op.k = {k_.data(), k_.dtype(), k_.entry_stride()};
    op.v = {v_.data(), v_.dtype(), v_.entry_stride()};
    op.kv = pool_->layout;
    op.pool = pool_->memory;
    op.slot_mapping = slot_mapping_.as<const int32_t>();
    op.style = op_.style;
    op.rotary_dim = op_.rotary_dim;
    op.positions = data_or_null<const int32_t>(positions_);
    op.table = data_or_null<const float>(table_);
    op.max_positions = table_ ? table_->max_entries() : 0;
    op.kv_inv = data_or_null<const float>(kv_inv_);
    kv_append(op, context.exec);
  }

 private:
  tsr_op_kv_append op_;
  std::shared_ptr<KvPoolPlace> pool_;
  TensorRows k_;
  TensorRows v_;
  TensorRows slot_mapping_;
  std::unique_ptr<TensorRows> positions_;
  std::unique_ptr<TensorRows> table_;
  std::unique_ptr<TensorRows> kv_inv_;
};

}  // namespace

std::unique_ptr<CompiledOp> compile_attention(const CompileInput& input) {
  return std::make_unique<AttentionOp>(input, input.op.as<tsr_op_attention>());
}

std::unique_ptr<CompiledOp> compile_kv_append(const CompileInput& input) {
  return std::make_unique<KvAppendOp>(input, input.op.as<tsr_op_kv_append>());
}

}  // namespace tessera::cpu
