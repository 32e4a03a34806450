// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/attention_case.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "framework/conformance/reference/bounds.hpp"
#include "framework/format/element.hpp"
#include "framework/format/kv_block.hpp"
#include "framework/host/device/timeline.hpp"

namespace tessera::device_test {
namespace {

uint32_t blocks_of(const AttentionCase& c, const SeqCase& s) {
  return (s.seq_len + c.block_size - 1) / c.block_size;
}

uint32_t count_blocks(const AttentionCase& c) {
  uint32_t count = 0;
  for (const SeqCase& s : c.seqs) count += blocks_of(c, s);
  return count;
}

uint32_t count_tokens(const AttentionCase& c) {
  uint32_t count = 0;
  for (const SeqCase& s : c.seqs) count += s.q_len;
  return count;
}

uint32_t most_blocks(const AttentionCase& c) {
  uint32_t most = 0;
  for (const SeqCase& s : c.seqs) most = std::max(most, blocks_of(c, s));
  return most + 1;
}

uint32_t scales_per_head(const AttentionCase& c, uint32_t kv_format) {
  return kv_format == TSR_KV_I8_CHANNEL ? c.head_dim : 1;
}

// One submission of blocks 0 .. count - 1, waited for.
Status transfer(const std::shared_ptr<Device>& device, uint32_t kind,
                uint64_t pool, uint64_t buffer, uint32_t count) {
  TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device));
  SubmissionBuilder submission(kind);
  submission.add_signal({id, 1});
  for (uint32_t i = 0; i < count; ++i) submission.add_block({i, i});
  tsr_submission& record = submission.record();
  const bool exports = kind == TSR_SUBMIT_KV_EXPORT;
  record.src = exports ? pool : buffer;
  record.dst = exports ? buffer : pool;
  TSR_RETURN_IF_ERROR(queue.submit(record));
  return timeline.wait(1);
}

}  // namespace

std::string AttentionCase::name() const {
  std::string text =
      "heads " + std::to_string(num_q_heads) + "/" +
      std::to_string(num_kv_heads) + " head_dim " + std::to_string(head_dim) +
      " block_size " + std::to_string(block_size) + " mask " +
      std::to_string(mask) + " window " + std::to_string(window) + " dtype " +
      std::to_string(dtype) + " seqs";
  for (const SeqCase& s : seqs) {
    text +=
        " (" + std::to_string(s.q_len) + "," + std::to_string(s.seq_len) + ")";
  }
  if (in_order) text += " in order";
  return text;
}

std::vector<AttentionCase> attention_cases() {
  std::vector<AttentionCase> cases(1);
  const auto vary = [&](auto change) {
    AttentionCase c;
    change(c);
    cases.push_back(c);
  };
  using C = AttentionCase;
  vary([](C& c) { c.head_dim = 1; });
  vary([](C& c) { c.head_dim = 16; });
  vary([](C& c) { c.head_dim = 32; });
  vary([](C& c) { c.head_dim = 48; });
  vary([](C& c) { c.head_dim = 37; });
  vary([](C& c) { c.head_dim = 80; });
  vary([](C& c) { c.head_dim = 128; });
  vary([](C& c) { c.num_kv_heads = 8; });
  vary([](C& c) { c.num_q_heads = c.num_kv_heads = 1; });
  vary([](C& c) { c.num_q_heads = 22; });
  vary([](C& c) {
    c.in_order = true;
    c.seqs = {{1, 150}, {3, 70}, {1, 64}};
  });
  vary([](C& c) { c.block_size = 1; });
  vary([](C& c) { c.block_size = 24; });
  vary([](C& c) { c.seqs = {{1, 1}}; });
  vary([](C& c) { c.seqs = {{1, 5}, {1, 100}, {1, 16}}; });
  vary([](C& c) { c.seqs = {{17, 17}, {1, 40}, {9, 70}}; });
  vary([](C& c) { c.mask = TSR_MASK_FULL; });
  vary([](C& c) {
    c.mask = TSR_MASK_SLIDING;
    c.window = 1;
  });
  vary([](C& c) {
    c.mask = TSR_MASK_SLIDING;
    c.window = 18;
    c.seqs = {{20, 60}, {1, 90}};
  });
  vary([](C& c) { c.dtype = TSR_F16; });
  vary([](C& c) { c.dtype = TSR_BF16; });
  return cases;
}

AttentionStep::AttentionStep(Device& device, const AttentionCase& c,
                             uint32_t kv_format)
    : case_(c),
      max_blocks_(most_blocks(c)),
      q_(device, c.dtype, count_tokens(c), c.num_q_heads * c.head_dim, rng_),
      out_(device, c.dtype, count_tokens(c), c.num_q_heads * c.head_dim),
      q_starts_(device, TSR_I32, 1, static_cast<uint32_t>(c.seqs.size()) + 1,
                0),
      seq_lens_(device, TSR_I32, 1, static_cast<uint32_t>(c.seqs.size()), 0),
      block_table_(device, TSR_I32, static_cast<uint32_t>(c.seqs.size()),
                   max_blocks_, 0),
      kv_scale_(device, TSR_F32, 2 * c.num_kv_heads,
                scales_per_head(c, kv_format), 0),
      q_inv_(device, TSR_F32, 1, c.num_q_heads, 0),
      q_scale_(device, TSR_F32, 1, c.num_q_heads, 0),
      thresholds_(device, TSR_I32, c.num_q_heads, 127, 0) {
  desc_ = {sizeof(desc_), kv_format,           c.num_kv_heads, c.head_dim,
           c.block_size,  count_blocks(c) + 2, nullptr};
  make_tables(rng_);
  make_scales(rng_);
  fill_blocks(rng_);
}

uint32_t AttentionStep::num_tokens() const { return count_tokens(case_); }

// Blocks in random order; entries past a sequence are far out of range.
void AttentionStep::make_tables(std::mt19937& rng) {
  std::vector<int32_t> order(desc_.num_blocks);
  std::iota(order.begin(), order.end(), 0);
  if (!case_.in_order) std::shuffle(order.begin(), order.end(), rng);
  table_.assign(case_.seqs.size() * max_blocks_, INT32_MAX);
  starts_ = {0};
  size_t next = 0;
  for (uint32_t s = 0; s < case_.seqs.size(); ++s) {
    const SeqCase& seq = case_.seqs[s];
    starts_.push_back(starts_.back() + static_cast<int32_t>(seq.q_len));
    lens_.push_back(static_cast<int32_t>(seq.seq_len));
    for (uint32_t b = 0; b < blocks_of(case_, seq); ++b) {
      table_[size_t{s} * max_blocks_ + b] = order[next++];
    }
    seq_lens_.set_integer(0, s, lens_.back());
    for (uint32_t b = 0; b < max_blocks_; ++b) {
      block_table_.set_integer(s, b, table_[size_t{s} * max_blocks_ + b]);
    }
  }
  for (uint32_t s = 0; s < starts_.size(); ++s) {
    q_starts_.set_integer(0, s, starts_[s]);
  }
}

void AttentionStep::make_scales(std::mt19937& rng) {
  std::uniform_real_distribution<float> uniform(0.01f, 0.03f);
  for (uint32_t r = 0; r < kv_scale_.rows(); ++r) {
    for (uint32_t i = 0; i < kv_scale_.cols(); ++i) {
      kv_scale_.set(r, i, uniform(rng));
    }
  }
  kv_scales_ = kv_scale_.values();
  const float softmax = 1.0f / std::sqrt(static_cast<float>(case_.head_dim));
  const uint32_t ratio = case_.num_q_heads / case_.num_kv_heads;
  for (uint32_t h = 0; h < case_.num_q_heads; ++h) {
    const float scale = uniform(rng);
    q_scale_.set(0, h, scale);
    q_inv_.set(0, h, 1.0f / scale);
    q_invs_.push_back(1.0f / scale);
    const double c = double{scale} * kv_scale_.at(h / ratio, 0) * softmax;
    std::array<int32_t, 127> limits{};
    format::probability_thresholds(c, limits);
    if (case_.has_straight_thresholds) {
      for (int32_t k = 0; k < 127; ++k) limits[k] = (126 - k) / 3 * 40;
    }
    for (uint32_t k = 0; k < 127; ++k) thresholds_.set_integer(h, k, limits[k]);
    limits_.insert(limits_.end(), limits.begin(), limits.end());
  }
}

void AttentionStep::fill_blocks(std::mt19937& rng) {
  const auto layout = *format::kv_block_layout(desc_);
  blocks_.resize(layout.bytes * desc_.num_blocks);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> code(-127, 127);
  std::uniform_real_distribution<float> scale(0.01f, 0.03f);
  const size_t codes =
      size_t{desc_.num_kv_heads} * desc_.block_size * desc_.head_dim;
  const size_t scales = size_t{desc_.num_kv_heads} * desc_.block_size;
  for (uint32_t b = 0; b < desc_.num_blocks; ++b) {
    std::byte* block = blocks_.data() + b * layout.bytes;
    for (const uint64_t part : {layout.k_codes, layout.v_codes}) {
      for (size_t i = 0; i < codes; ++i) {
        const float value = layout.code_dtype == TSR_I8
                                ? static_cast<float>(code(rng))
                                : normal(rng);
        format::set_element_value(layout.code_dtype, block + part, i, value);
      }
    }
    if (desc_.format != TSR_KV_I8_TOKEN) continue;
    for (const uint64_t part : {layout.k_scales, layout.v_scales}) {
      for (size_t i = 0; i < scales; ++i) {
        format::store_element(block + part, i, scale(rng));
      }
    }
  }
}

Status AttentionStep::run_op(const std::shared_ptr<Device>& device,
                             uint32_t flags) {
  TSR_ASSIGN_OR_RETURN(KvPool pool, device->create_kv_pool(desc_));
  TSR_RETURN_IF_ERROR(import_blocks(device, pool, desc_.num_blocks, blocks_));
  OpRunner op(device);
  add_to(op, pool);
  op.step().flags = flags;
  return op.run(num_tokens(), num_seqs(), max_blocks_);
}

void AttentionStep::add_to(OpRunner& op, const KvPool& pool) {
  tsr_op_attention attention{};
  attention.op.kind = TSR_OP_ATTENTION;
  attention.q = op.add(q_);
  attention.out = op.add(out_);
  attention.kv = op.program().add_kv_pool(pool.id());
  attention.q_starts = op.add(q_starts_, TSR_DIM_FIXED);
  attention.seq_lens = op.add(seq_lens_, TSR_DIM_FIXED);
  attention.block_table = op.add(block_table_, TSR_DIM_FIXED);
  attention.num_q_heads = case_.num_q_heads;
  attention.mask = case_.mask;
  attention.window = case_.window;
  attention.scale = 1.0f / std::sqrt(static_cast<float>(case_.head_dim));
  attention.kv_scale = op.add(kv_scale_, TSR_DIM_FIXED);
  attention.q_inv = op.add(q_inv_, TSR_DIM_FIXED);
  attention.q_scale = op.add(q_scale_, TSR_DIM_FIXED);
  attention.thresholds = op.add(thresholds_, TSR_DIM_FIXED);
  op.program().add_op(attention);
  uint32_t max_q_len = 0;
  uint32_t max_seq_len = 0;
  for (const SeqCase& s : case_.seqs) {
    max_q_len = std::max(max_q_len, s.q_len);
    max_seq_len = std::max(max_seq_len, s.seq_len);
  }
  op.step().max_q_len = max_q_len;
  op.step().max_seq_len = max_seq_len;
}

reference::Attention AttentionStep::describe() {
  reference::Attention p;
  q_values_ = q_.values();
  p.num_seqs = static_cast<uint32_t>(case_.seqs.size());
  p.num_q_heads = case_.num_q_heads;
  p.q = q_values_.data();
  p.q_starts = starts_.data();
  p.seq_lens = lens_.data();
  p.block_table = table_.data();
  p.max_blocks_per_seq = max_blocks_;
  p.mask = case_.mask;
  p.window = case_.window;
  p.scale = 1.0f / std::sqrt(static_cast<float>(case_.head_dim));
  p.kv_scale = kv_scales_.data();
  p.q_inv = q_invs_.data();
  p.thresholds = limits_.data();
  return p;
}

void AttentionStep::run(const std::shared_ptr<Device>& device) {
  SCOPED_TRACE(case_.name() + " KV " + std::to_string(desc_.format));
  const Status status = run_op(device);
  ASSERT_TRUE(status.ok()) << status.message();
  compare();
}

void AttentionStep::set_seq_len(uint32_t seq, uint32_t seq_len) {
  lens_[seq] = static_cast<int32_t>(seq_len);
  seq_lens_.set_integer(0, seq, lens_[seq]);
}

void AttentionStep::compare() {
  EXPECT_TRUE(out_.gaps_untouched());
  auto pool = reference::KvPool::open(desc_, blocks_);
  ASSERT_TRUE(pool.ok()) << pool.status().message();
  const reference::Attention p = describe();
  if (desc_.format == TSR_KV_I8_HEAD) return compare_exactly(p, *pool);
  compare_float(p, *pool);
}

void AttentionStep::compare_float(const reference::Attention& p,
                                  const reference::KvPool& pool) {
  std::vector<double> wanted(q_values_.size());
  std::vector<double> bound(q_values_.size());
  ASSERT_TRUE(reference::attention(p, pool, wanted.data()).ok());
  ASSERT_TRUE(reference::attention_bound(
                  p, pool, {TSR_ERROR_DOT, case_.dtype, TSR_BF16}, bound.data())
                  .ok());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto token = static_cast<uint32_t>(i / out_.cols());
    const auto element = static_cast<uint32_t>(i % out_.cols());
    ASSERT_NEAR(out_.at(token, element), wanted[i], bound[i])
        << "token " << token << " element " << element;
  }
}

void AttentionStep::compare_exactly(const reference::Attention& p,
                                    const reference::KvPool& pool) {
  std::vector<float> wanted(q_values_.size());
  ASSERT_TRUE(reference::attention_fa3(p, pool, wanted.data()).ok());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto token = static_cast<uint32_t>(i / out_.cols());
    const auto element = static_cast<uint32_t>(i % out_.cols());
    ASSERT_EQ(out_.at(token, element), rounded_to(case_.dtype, wanted[i]))
        << "token " << token << " element " << element;
  }
}

Status import_blocks(const std::shared_ptr<Device>& device, const KvPool& pool,
                     uint32_t num_blocks,
                     const std::vector<std::byte>& blocks) {
  TSR_ASSIGN_OR_RETURN(const SharedBuffer buffer,
                       SharedBuffer::create(*device, blocks.size()));
  std::memcpy(buffer.memory(), blocks.data(), blocks.size());
  return transfer(device, TSR_SUBMIT_KV_IMPORT, pool.id(), buffer.id(),
                  num_blocks);
}

Result<std::vector<std::byte>> export_blocks(
    const std::shared_ptr<Device>& device, const KvPool& pool,
    uint32_t num_blocks) {
  std::vector<std::byte> blocks(pool.info().block_bytes * num_blocks);
  TSR_ASSIGN_OR_RETURN(const SharedBuffer buffer,
                       SharedBuffer::create(*device, blocks.size()));
  TSR_RETURN_IF_ERROR(transfer(device, TSR_SUBMIT_KV_EXPORT, pool.id(),
                               buffer.id(), num_blocks));
  std::memcpy(blocks.data(), buffer.memory(), blocks.size());
  return blocks;
}

}  // namespace tessera::device_test
