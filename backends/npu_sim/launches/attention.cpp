// SPDX-License-Identifier: Apache-2.0
//
// Attention and kv_append over a pool of this device.

#include "backends/npu_sim/function/attention/attention.hpp"

#include <string>

#include "backends/npu_sim/device/device.hpp"
#include "backends/npu_sim/function/attention/kv_append.hpp"
#include "backends/npu_sim/launches/launch.hpp"
#include "backends/npu_sim/launches/problem_of.hpp"

namespace tessera::npu {
namespace {

class AttentionLaunch final : public Launch {
 public:
  AttentionLaunch(const LaunchInput& input, const tsr_op_attention& op)
      : device_(input.device),
        op_(op),
        place_(device_.kv_pool(input.program.kv_pools()[op.kv])),
        q_(input.rows(op.q)),
        out_(input.rows(op.out)),
        q_starts_(input.rows(op.q_starts)),
        seq_lens_(input.rows(op.seq_lens)),
        block_table_(input.rows(op.block_table)),
        q_inv_(input.rows(op.q_inv)),
        kv_scale_(input.rows(op.kv_scale)),
        thresholds_(input.rows(op.thresholds)) {
    // What no step of these heads and blocks can be compiled for is refused
    // now.
    Attention smallest = problem_without_lengths();
    smallest.q_lens = smallest.seq_lens = {1};
    device_.timing().tiling(smallest);
  }

  void run(const Step& step) override {
    AttentionStep op;
    op.num_seqs = step.submission.num_seqs;
    op.num_tokens = step.submission.num_tokens;
    op.num_q_heads = op_.num_q_heads;
    op.q = q_.const_entries(step);
    op.out = out_.mutable_entries(step);
    op.pool = place_->pool;
    op.q_starts = q_starts_.data<const int32_t>(step);
    op.seq_lens = seq_lens_.data<const int32_t>(step);
    op.block_table = block_table_.data<const int32_t>(step);
    op.max_blocks_per_seq = block_table_.width();
    op.mask = op_.mask;
    op.window = op_.window;
    op.scale = op_.scale;
    op.kv_scale = kv_scale_.data<const float>(step);
    op.q_inv = q_inv_.data<const float>(step);
    op.thresholds = thresholds_.data<const int32_t>(step);
    if (is_integer()) {
      attention_fa3(op, scratch_, device_.parallel());
    } else if (op.num_tokens > 0) {
      op.tiling = device_.timing().tiling(std::get<Attention>(problem(step)));
      attention(op, scratch_, device_.parallel());
    }
  }

  Problem problem(const Step& step) const override {
    Attention problem = problem_without_lengths();
    const auto* starts = q_starts_.data<const int32_t>(step);
    const auto* lens = seq_lens_.data<const int32_t>(step);
    for (uint32_t s = 0; s < step.submission.num_seqs; ++s) {
      if (starts[s + 1] == starts[s]) continue;
      problem.q_lens.push_back(starts[s + 1] - starts[s]);
      problem.seq_lens.push_back(lens[s]);
    }
    return problem;
  }

  std::string kernel_name() const override {
    if (is_integer()) return "attention_fa3";
    return "attention_" + sdk::names::kv_format(place_->pool.layout.format);
  }

 private:
  Attention problem_without_lengths() const {
    const KvLayout& layout = place_->pool.layout;
    Attention problem;
    problem.num_q_heads = op_.num_q_heads;
    problem.num_kv_heads = layout.num_kv_heads;
    problem.qk_dim = problem.v_dim = layout.head_dim;
    problem.causal = op_.mask != TSR_MASK_FULL;
    problem.window = op_.mask == TSR_MASK_SLIDING ? op_.window : 0;
    problem.block_size = layout.block_size;
    problem.kv = kv_type_of(layout.format);
    return problem;
  }
  bool is_integer() const {
    return place_->pool.layout.format == TSR_KV_I8_HEAD;
  }

  NpuDevice& device_;
  tsr_op_attention op_;
  std::shared_ptr<KvPoolPlace> place_;
  TensorRows q_;
  TensorRows out_;
  TensorRows q_starts_;
  TensorRows seq_lens_;
  TensorRows block_table_;
  TensorRows q_inv_;
  TensorRows kv_scale_;
  TensorRows thresholds_;
  AttentionScratch scratch_;
};

class KvAppendLaunch final : public Launch {
 public:
  KvAppendLaunch(const LaunchInput& input, const tsr_op_kv_append& op)
      : device_(input.device),
        op_(op),
        place_(device_.kv_pool(input.program.kv_pools()[op.kv])),
        k_(input.rows(op.k)),
        v_(input.rows(op.v)),
        slot_mapping_(input.rows(op.slot_mapping)),
        positions_(input.rows(op.positions)),
        table_(input.rows(op.table)),
        kv_inv_(input.rows(op.kv_inv)) {}

  void run(const Step& step) override {
    KvAppend op;
    op.num_tokens = k_.entries(step);
    op.k = k_.const_entries(step);
    op.v = v_.const_entries(step);
    op.pool = place_->pool;
    op.slot_mapping = slot_mapping_.data<const int32_t>(step);
    op.style = op_.style;
    op.rotary_dim = op_.rotary_dim;
    op.positions = positions_.data<const int32_t>(step);
    op.table = table_.data<const float>(step);
    op.max_positions = table_.exists() ? table_.max_entries() : 0;
    op.kv_inv = kv_inv_.data<const float>(step);
    kv_append(op, device_.parallel());
  }

  Problem problem(const Step& step) const override {
    const KvLayout& layout = place_->pool.layout;
    CacheAppend problem;
    problem.tokens = k_.entries(step);
    problem.num_kv_heads = layout.num_kv_heads;
    problem.head_dim = layout.head_dim;
    problem.block_size = layout.block_size;
    problem.type = type_of(k_.dtype());
    problem.kv = kv_type_of(layout.format);
    problem.rotates = op_.style != TSR_ROPE_NONE;
    return problem;
  }

  std::string kernel_name() const override { return "kv_append"; }

 private:
  NpuDevice& device_;
  tsr_op_kv_append op_;
  std::shared_ptr<KvPoolPlace> place_;
  TensorRows k_;
  TensorRows v_;
  TensorRows slot_mapping_;
  TensorRows positions_;
  TensorRows table_;
  TensorRows kv_inv_;
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

}  // namespace tessera::npu
