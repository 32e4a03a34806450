// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/numerics/attention_trial.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>

#include "framework/conformance/reference/attention/attention.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/format/element.hpp"
#include "framework/format/kv_block.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/names.hpp"

namespace tessera::conformance {
namespace {

// The canonical blocks: random where a sequence has tokens, else NaN or the
// largest code, which shows if it is ever read.
Result<std::vector<std::byte>> fill_pool(const tsr_kv_desc& desc,
                                         const PagedStep& step,
                                         std::mt19937& rng) {
  TSR_ASSIGN_OR_RETURN(const format::KvBlockLayout layout,
                       format::kv_block_layout(desc));
  const bool integer = layout.code_dtype == TSR_I8;
  std::vector<std::byte> memory(layout.bytes * desc.num_blocks,
                                integer ? std::byte{0x7f} : kPoison);
  TSR_ASSIGN_OR_RETURN(const reference::KvPool pool,
                       reference::KvPool::open(desc, memory));
  std::normal_distribution<float> normal;
  for (uint32_t s = 0; s < step.seq_lens.size(); ++s) {
    for (int32_t p = 0; p < step.seq_lens[s]; ++p) {
      const auto position = static_cast<uint32_t>(p);
      const auto block =
          static_cast<uint32_t>(step.block_table[s * step.max_blocks_per_seq +
                                                 position / desc.block_size]);
      const uint64_t slot =
          uint64_t{block} * desc.block_size + position % desc.block_size;
      for (uint32_t head = 0; head < desc.num_kv_heads; ++head) {
        for (const auto part :
             {reference::KvPart::kKey, reference::KvPart::kValue}) {
          std::byte* codes = pool.codes(part, slot, head);
          for (uint32_t i = 0; i < desc.head_dim; ++i) {
            const float value =
                integer
                    ? static_cast<float>(static_cast<int>(rng() % 255) - 127)
                    : normal(rng);
            format::set_element_value(layout.code_dtype, codes, i, value);
          }
          if (desc.format != TSR_KV_I8_TOKEN) continue;
          const float scale = 0.005f + static_cast<float>(rng() % 64) / 4096.0f;
          std::memcpy(pool.token_scale(part, slot, head), &scale,
                      sizeof(scale));
        }
      }
    }
  }
  return memory;
}

// One attention while it is being made.
class AttentionMaker {
 public:
  AttentionMaker(const AttentionSpec& spec, const tsr_kernel_desc* row)
      : spec_(spec), row_(row), rng_(spec.seed) {}

  Result<OpTrial> make() {
    step_ = make_paged_step(spec_.sequences(), spec_.block_size, rng_);
    add_query();
    add_step_tensors();
    add_scales();
    op_.op.kind = TSR_OP_ATTENTION;
    op_.num_q_heads = spec_.num_q_heads();
    op_.mask = spec_.mask;
    op_.window = spec_.mask == TSR_MASK_SLIDING ? spec_.window : 0;
    op_.scale = spec_.scale();
    desc_.struct_size = sizeof(desc_);
    desc_.format = spec_.kv_format;
    desc_.num_kv_heads = spec_.num_kv_heads;
    desc_.head_dim = spec_.head_dim;
    desc_.block_size = spec_.block_size;
    desc_.num_blocks = step_.num_blocks;
    op_.kv = trial_.setup.add_kv_pool(desc_);
    trial_.setup.add_op(op_);
    set_numbers();
    if (row_ == nullptr) return std::move(trial_);
    TSR_ASSIGN_OR_RETURN(std::vector<std::byte> blocks,
                         fill_pool(desc_, step_, rng_));
    trial_.pools_after = {blocks};
    trial_.pools = {std::move(blocks)};
    TSR_RETURN_IF_ERROR(expect());
    return std::move(trial_);
  }

 private:
  bool is_fa3() const { return spec_.kv_format == TSR_KV_I8_HEAD; }

  void add_query() {
    const uint32_t heads = spec_.num_q_heads();
    const uint32_t width = heads * spec_.head_dim;
    const uint32_t extra = spec_.as_views ? 2 * spec_.head_dim : 0;
    const TensorShape wide{
        {token_dim(step_.num_tokens), fixed_dim(width + extra)}};
    op_.q = trial_.setup.add_floats(
        "q", spec_.dtype, wide,
        normal_values(size_t{step_.num_tokens} * (width + extra), 1.0f, rng_));
    if (spec_.as_views) {
      TensorShape window{{token_dim(step_.num_tokens), fixed_dim(width)},
                         width + extra};
      op_.q = trial_.setup.add_view("q_view", op_.q, window, spec_.head_dim);
    }
    op_.out =
        trial_.setup.add_output("out", spec_.dtype,
                                {{token_dim(step_.num_tokens), fixed_dim(heads),
                                  fixed_dim(spec_.head_dim)}});
  }

  void add_step_tensors() {
    const auto seqs = static_cast<uint32_t>(step_.seq_lens.size());
    const auto add = [&](const char* name, uint32_t role,
                         std::vector<tsr_dim> dims,
                         const std::vector<int32_t>& values) {
      TensorShape shape{std::move(dims)};
      shape.role = role;
      return trial_.setup.add_ints(name, shape, values);
    };
    op_.q_starts = add("q_starts", TSR_ROLE_Q_STARTS,
                       {{seqs + 1, TSR_DIM_SEQS_PLUS_ONE}}, step_.q_starts);
    op_.seq_lens = add("seq_lens", TSR_ROLE_SEQ_LENS, {{seqs, TSR_DIM_SEQS}},
                       step_.seq_lens);
    op_.block_table =
        add("block_table", TSR_ROLE_BLOCK_TABLE,
            {{seqs, TSR_DIM_SEQS}, fixed_dim(step_.max_blocks_per_seq)},
            step_.block_table);
  }

  void add_scales() {
    op_.q_inv = op_.q_scale = op_.kv_scale = op_.thresholds = TSR_NONE;
    const uint32_t kv_heads = spec_.num_kv_heads;
    const auto constant = [](std::vector<tsr_dim> dims) {
      TensorShape shape{std::move(dims)};
      shape.constant = true;
      return shape;
    };
    const bool channel = spec_.kv_format == TSR_KV_I8_CHANNEL;
    if (!channel && !is_fa3()) return;
    const uint32_t per_head = channel ? spec_.head_dim : 1;
    kv_scale_.resize(size_t{2} * kv_heads * per_head);
    for (float& s : kv_scale_) {
      s = 0.008f + static_cast<float>(rng_() % 64) / 8192.0f;
    }
    std::vector<tsr_dim> dims = {fixed_dim(2), fixed_dim(kv_heads)};
    if (channel) dims.push_back(fixed_dim(spec_.head_dim));
    op_.kv_scale =
        trial_.setup.add_floats("kv_scale", TSR_F32, constant(dims), kv_scale_);
    if (!is_fa3()) return;
    const uint32_t heads = spec_.num_q_heads();
    std::vector<float> q_scale(heads);
    for (uint32_t h = 0; h < heads; ++h) {
      q_scale[h] = 0.02f + 0.001f * static_cast<float>(h);
      q_inv_.push_back(1.0f / q_scale[h]);
      std::array<int32_t, 127> steps{};
      format::probability_thresholds(
          double{q_scale[h]} * kv_scale_[h / spec_.ratio] * spec_.scale(),
          steps);
      thresholds_.insert(thresholds_.end(), steps.begin(), steps.end());
    }
    op_.q_inv = trial_.setup.add_floats("q_inv", TSR_F32,
                                        constant({fixed_dim(heads)}), q_inv_);
    op_.q_scale = trial_.setup.add_floats(
        "q_scale", TSR_F32, constant({fixed_dim(heads)}), q_scale);
    op_.thresholds = trial_.setup.add_ints(
        "thresholds", constant({fixed_dim(heads), fixed_dim(127)}),
        thresholds_);
  }

  void set_numbers() {
    const auto seqs = static_cast<uint32_t>(step_.seq_lens.size());
    trial_.setup.set_limits(step_.num_tokens, seqs, seqs,
                            step_.max_blocks_per_seq);
    tsr_submission& numbers = trial_.setup.step;
    numbers.num_tokens = step_.num_tokens;
    numbers.num_seqs = seqs;
    numbers.num_outputs = seqs;
    numbers.max_q_len = step_.max_q_len;
    numbers.max_seq_len = step_.max_seq_len;
    numbers.num_decode_tokens = step_.num_decode_tokens;
  }

  Status expect() {
    const std::vector<float> q = trial_.setup.floats(op_.q);
    reference::Attention p;
    p.num_seqs = static_cast<uint32_t>(step_.seq_lens.size());
    p.num_q_heads = spec_.num_q_heads();
    p.q = q.data();
    p.q_starts = step_.q_starts.data();
    p.seq_lens = step_.seq_lens.data();
    p.block_table = step_.block_table.data();
    p.max_blocks_per_seq = step_.max_blocks_per_seq;
    p.mask = spec_.mask;
    p.window = op_.window;
    p.scale = spec_.scale();
    p.kv_scale = kv_scale_.empty() ? nullptr : kv_scale_.data();
    p.q_inv = q_inv_.empty() ? nullptr : q_inv_.data();
    p.thresholds = thresholds_.empty() ? nullptr : thresholds_.data();
    TSR_ASSIGN_OR_RETURN(const reference::KvPool pool,
                         reference::KvPool::open(desc_, trial_.pools[0]));
    Expected expected;
    expected.tensor = op_.out;
    expected.rows = size_t{step_.num_tokens} * spec_.num_q_heads();
    const size_t count = q.size();
    expected.values.resize(count);
    expected.bounds.resize(count);
    if (is_fa3()) {
      std::vector<float> out(count);
      TSR_RETURN_IF_ERROR(reference::attention_fa3(p, pool, out.data()));
      std::byte place[4];
      for (size_t i = 0; i < count; ++i) {
        format::set_element_value(spec_.dtype, place, 0, out[i]);
        expected.values[i] = format::element_value(spec_.dtype, place, 0);
      }
    } else {
      TSR_RETURN_IF_ERROR(
          reference::attention(p, pool, expected.values.data()));
      reference::BoundClass bound;
      bound.error_class = row_->error_class;
      bound.out_dtype = spec_.dtype;
      const bool wide =
          spec_.dtype == TSR_BF16 || spec_.kv_format == TSR_KV_BF16;
      bound.half_dtype = wide ? TSR_BF16 : TSR_F16;
      TSR_RETURN_IF_ERROR(
          reference::attention_bound(p, pool, bound, expected.bounds.data()));
    }
    trial_.expected.push_back(std::move(expected));
    return {};
  }

  const AttentionSpec& spec_;
  const tsr_kernel_desc* row_;
  std::mt19937 rng_;
  PagedStep step_;
  OpTrial trial_;
  tsr_op_attention op_{};
  tsr_kv_desc desc_{};
  std::vector<float> kv_scale_;
  std::vector<float> q_inv_;
  std::vector<int32_t> thresholds_;
};

}  // namespace

float AttentionSpec::scale() const {
  return scale_factor / std::sqrt(static_cast<float>(head_dim));
}

std::string AttentionSpec::text() const {
  static const char* const words[] = {"mixed", "decode", "prefill", "chunk",
                                      "long"};
  return fmt::format(
      "{}/{}_D{}_h{}x{}_b{}_{}_{}{}{}", sdk::names::kv_format(kv_format),
      dtype_name(dtype), head_dim, num_kv_heads, ratio, block_size,
      sdk::names::mask(mask), words[static_cast<int>(batch)],
      as_views ? "_view" : "", scale_factor == 1.0f ? "" : "_scaled");
}

std::vector<Sequence> AttentionSpec::sequences() const {
  switch (batch) {
    case Batch::kMixed:
      return {{1, 37}, {1, 1}, {7, 7}, {5, 21}, {1, 16}};
    case Batch::kDecode:
      return {{1, 1}, {1, 15}, {1, 16}, {1, 17}, {1, 64}, {1, 100}};
    case Batch::kPrefill:
      return {{33, 33}};
    case Batch::kChunk:
      return {{20, 70}, {1, 70}};
    case Batch::kLong:
      return {{1, 1500}, {4, 1031}};
  }
  return {};
}

Result<OpTrial> make_attention(const AttentionSpec& spec,
                               const tsr_kernel_desc* row) {
  return AttentionMaker(spec, row).make();
}

}  // namespace tessera::conformance
