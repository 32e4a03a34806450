// SPDX-License-Identifier: Apache-2.0
//
// Level 1, kv_append: rotation, every KV type, scattered slots, tokens that are
// not stored.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/trial/paged_step.hpp"
#include "framework/conformance/reference/attention/kv.hpp"
#include "framework/format/kv_block.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/names.hpp"

namespace tessera::conformance {
namespace {

constexpr uint32_t kMaxPositions = 128;

struct AppendSpec {
  uint32_t kv_format = TSR_KV_F32;
  uint32_t dtype = TSR_F32;
  uint32_t style = TSR_ROPE_HALF;
  uint32_t head_dim = 32;
  uint32_t rotary = 0;  // 0: head_dim
  uint32_t num_kv_heads = 2;
  uint32_t block_size = 16;
  bool skips = false;    // some slots are negative
  bool extreme = false;  // zeros, tiny and large values
  uint32_t seed = 42;

  std::string text() const {
    std::string text = fmt::format("{}/{}_D{}_h{}_b{}_rope.{}",
                                   sdk::names::kv_format(kv_format),
                                   dtype_name(dtype), head_dim, num_kv_heads,
                                   block_size, sdk::names::rope_style(style));
    if (rotary != 0) text += fmt::format("_rotary{}", rotary);
    if (skips) text += "_skips";
    if (extreme) text += "_extreme";
    return text;
  }
};

class AppendMaker {
 public:
  AppendMaker(const AppendSpec& spec, const tsr_kernel_desc* row)
      : spec_(spec), row_(row), rng_(spec.seed) {}

  Result<OpTrial> make() {
    const uint32_t rotary = spec_.rotary == 0 ? spec_.head_dim : spec_.rotary;
    if (rotary % 2 != 0 && spec_.style != TSR_ROPE_NONE) {
      return Status(TSR_INVALID_ARGUMENT, "odd rotary_dim");
    }
    step_ = make_paged_step({{1, 37}, {6, 9}, {3, 40}}, spec_.block_size, rng_);
    if (spec_.skips) {
      for (size_t t = 0; t < step_.slots.size(); t += 3) step_.slots[t] = -1;
    }
    add_tensors(rotary);
    desc_.struct_size = sizeof(desc_);
    desc_.format = spec_.kv_format;
    desc_.num_kv_heads = spec_.num_kv_heads;
    desc_.head_dim = spec_.head_dim;
    desc_.block_size = spec_.block_size;
    desc_.num_blocks = step_.num_blocks;
    op_.op.kind = TSR_OP_KV_APPEND;
    op_.kv = trial_.setup.add_kv_pool(desc_);
    op_.style = spec_.style;
    op_.rotary_dim = spec_.style == TSR_ROPE_NONE ? 0 : rotary;
    trial_.setup.add_op(op_);
    trial_.setup.set_limits(step_.num_tokens, 3, 3, step_.max_blocks_per_seq);
    tsr_submission& numbers = trial_.setup.step;
    numbers.num_tokens = step_.num_tokens;
    numbers.num_seqs = 3;
    numbers.num_outputs = 3;
    numbers.max_q_len = step_.max_q_len;
    numbers.max_seq_len = step_.max_seq_len;
    numbers.num_decode_tokens = step_.num_decode_tokens;
    if (row_ == nullptr) return std::move(trial_);
    TSR_RETURN_IF_ERROR(expect(rotary));
    return std::move(trial_);
  }

 private:
  std::vector<float> random_rows() {
    const size_t width = size_t{spec_.num_kv_heads} * spec_.head_dim;
    std::vector<float> rows =
        normal_values(step_.num_tokens * width, 1.0f, rng_);
    if (!spec_.extreme) return rows;
    for (size_t i = 0; i < width; ++i) {
      rows[i] = 0.0f;
      rows[width + i] *= 0x1p-110f;
      rows[2 * width + i] *= 90.0f;
    }
    return rows;
  }

  void add_tensors(uint32_t rotary) {
    const TensorShape rows{{token_dim(step_.num_tokens),
                            fixed_dim(spec_.num_kv_heads),
                            fixed_dim(spec_.head_dim)}};
    op_.k = trial_.setup.add_floats("k", spec_.dtype, rows, random_rows());
    op_.v = trial_.setup.add_floats("v", spec_.dtype, rows, random_rows());
    TensorShape tokens{{token_dim(step_.num_tokens)}};
    tokens.role = TSR_ROLE_SLOT_MAPPING;
    op_.slot_mapping =
        trial_.setup.add_ints("slot_mapping", tokens, step_.slots);
    op_.positions = op_.table = op_.kv_inv = TSR_NONE;
    if (spec_.style != TSR_ROPE_NONE) {
      tokens.role = TSR_ROLE_POSITIONS;
      op_.positions =
          trial_.setup.add_ints("positions", tokens, step_.positions);
      table_.resize(size_t{kMaxPositions} * rotary);
      for (uint32_t p = 0; p < kMaxPositions; ++p) {
        for (uint32_t i = 0; i < rotary / 2; ++i) {
          const double angle =
              p * std::pow(10000.0, -2.0 * i / static_cast<double>(rotary));
          table_[p * rotary + i] = static_cast<float>(std::cos(angle));
          table_[p * rotary + rotary / 2 + i] =
              static_cast<float>(std::sin(angle));
        }
      }
      TensorShape angles{{fixed_dim(kMaxPositions), fixed_dim(rotary)}};
      angles.constant = true;
      op_.table = trial_.setup.add_floats("table", TSR_F32, angles, table_);
    }
    const bool channel = spec_.kv_format == TSR_KV_I8_CHANNEL;
    if (!channel && spec_.kv_format != TSR_KV_I8_HEAD) return;
    TensorShape scales{{fixed_dim(2), fixed_dim(spec_.num_kv_heads)}};
    if (channel) scales.dims.push_back(fixed_dim(spec_.head_dim));
    scales.constant = true;
    inv_.resize(size_t{2} * spec_.num_kv_heads *
                (channel ? spec_.head_dim : 1));
    for (float& inv : inv_) inv = 30.0f + static_cast<float>(rng_() % 40);
    op_.kv_inv = trial_.setup.add_floats("kv_inv", TSR_F32, scales, inv_);
  }

  Status expect(uint32_t rotary) {
    TSR_ASSIGN_OR_RETURN(const format::KvBlockLayout layout,
                         format::kv_block_layout(desc_));
    std::vector<std::byte> memory(layout.bytes * desc_.num_blocks,
                                  std::byte{0x35});
    trial_.pools = {memory};
    TSR_ASSIGN_OR_RETURN(const reference::KvPool pool,
                         reference::KvPool::open(desc_, memory));
    const std::vector<float> k = trial_.setup.floats(op_.k);
    const std::vector<float> v = trial_.setup.floats(op_.v);
    reference::KvAppend p;
    p.num_tokens = step_.num_tokens;
    p.k = k.data();
    p.v = v.data();
    p.slot_mapping = step_.slots.data();
    if (spec_.style != TSR_ROPE_NONE) {
      p.positions = step_.positions.data();
      p.table = table_.data();
      p.max_positions = kMaxPositions;
      p.rotary_dim = rotary;
    }
    p.style = spec_.style;
    p.kv_inv = inv_.empty() ? nullptr : inv_.data();
    TSR_RETURN_IF_ERROR(reference::kv_append(p, pool));
    trial_.pools_after = {std::move(memory)};
    trial_.exact_pools = row_->error_class == TSR_ERROR_EXACT;
    return {};
  }

  const AppendSpec& spec_;
  const tsr_kernel_desc* row_;
  std::mt19937 rng_;
  PagedStep step_;
  OpTrial trial_;
  tsr_op_kv_append op_{};
  tsr_kv_desc desc_{};
  std::vector<float> table_;
  std::vector<float> inv_;
};

class AppendPlanner {
 public:
  AppendPlanner(const Claim& claim, const tsr_kernel_desc& row,
                const CaseOptions& options, CaseList& cases)
      : claim_(claim), row_(row), options_(options), cases_(cases) {
    base_.dtype = values_in(row.x_dtypes).front();
    base_.kv_format = values_in(row.kv_formats).front();
    base_.style = values_in(row.rope_styles).back();
    base_.head_dim = fit(row.head_dim, 32);
    base_.block_size = fit(row.block_size, 16);
    base_.seed = options.seed;
  }

  void add_all() {
    for (const uint32_t format : values_in(row_.kv_formats)) {
      for (const uint32_t style : values_in(row_.rope_styles)) {
        change([&](AppendSpec& spec) {
          spec.kv_format = format;
          spec.style = style;
        });
      }
      change([&](AppendSpec& spec) {
        spec.kv_format = format;
        spec.skips = true;
      });
      change([&](AppendSpec& spec) {
        spec.kv_format = format;
        spec.extreme = true;
      });
      if (options_.quick) continue;
      for (const uint32_t dtype : values_in(row_.x_dtypes)) {
        change([&](AppendSpec& spec) {
          spec.kv_format = format;
          spec.dtype = dtype;
        });
      }
    }
    for (const uint32_t dim : {16U, 20U, 64U, 128U}) {
      change([&](AppendSpec& spec) {
        spec.head_dim = fit(row_.head_dim, dim);
        spec.rotary = spec.head_dim / 4 * 2;
      });
    }
    for (const uint32_t size : {1U, 13U, 32U}) {
      change([&](AppendSpec& spec) {
        spec.block_size = fit(row_.block_size, size);
      });
    }
    for (const uint32_t format :
         {TSR_KV_F32, TSR_KV_F16, TSR_KV_BF16, TSR_KV_I8_TOKEN,
          TSR_KV_I8_CHANNEL, TSR_KV_I8_HEAD}) {
      change([&](AppendSpec& spec) { spec.kv_format = format; });
    }
    for (const uint32_t dtype : {TSR_F32, TSR_F16, TSR_BF16}) {
      change([&](AppendSpec& spec) { spec.dtype = dtype; });
    }
    for (const uint32_t style :
         {TSR_ROPE_NONE, TSR_ROPE_HALF, TSR_ROPE_INTERLEAVED}) {
      change([&](AppendSpec& spec) { spec.style = style; });
    }
  }

 private:
  template <typename Edit>
  void change(const Edit& edit) {
    AppendSpec spec = base_;
    edit(spec);
    Candidate one;
    one.what = spec.text();
    one.op = "kv_append";
    one.make = [spec](const tsr_kernel_desc* row) {
      return AppendMaker(spec, row).make();
    };
    add_candidate(claim_, one, cases_);
  }

  const Claim& claim_;
  const tsr_kernel_desc& row_;
  const CaseOptions& options_;
  CaseList& cases_;
  AppendSpec base_;
};

}  // namespace

void add_kv_append_cases(const Claim& claim, const CaseOptions& options,
                         CaseList& cases) {
  for (const tsr_kernel_desc& row : claim.rows()) {
    const bool runs =
        row.x_dtypes != 0 && row.kv_formats != 0 && row.rope_styles != 0;
    if (row.op == TSR_OP_KV_APPEND && runs) {
      AppendPlanner(claim, row, options, cases).add_all();
    }
  }
}

}  // namespace tessera::conformance
