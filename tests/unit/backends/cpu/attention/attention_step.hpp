// SPDX-License-Identifier: Apache-2.0
//
// One step of attention with random contents, for tests: what no kernel may
// read is NaN, out of range or past a guard.

#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <ostream>
#include <random>
#include <vector>

#include "backends/cpu/kernels/attention/attention.hpp"
#include "backends/cpu/kernels/attention/attention_work.hpp"
#include "tests/unit/backends/cpu/attention/kv_pool.hpp"
#include "tests/unit/backends/cpu/ops/test_threads.hpp"

namespace tessera::cpu {

struct SeqCase {
  int64_t q_len;
  int64_t seq_len;
};

struct AttentionCase {
  int64_t num_q_heads = 8;
  int64_t num_kv_heads = 2;
  int64_t head_dim = 64;
  int64_t block_size = 16;
  std::vector<SeqCase> seqs = {{1, 33}, {7, 17}};
  uint32_t mask = TSR_MASK_CAUSAL;
  int64_t window = 0;
  uint32_t dtype = TSR_F32;
};

inline std::ostream& operator<<(std::ostream& out, const AttentionCase& c) {
  out << "heads " << c.num_q_heads << '/' << c.num_kv_heads << " head_dim "
      << c.head_dim << " block_size " << c.block_size << " mask " << c.mask
      << " window " << c.window << " dtype " << c.dtype << " seqs";
  for (const SeqCase& s : c.seqs)
    out << " (" << s.q_len << ',' << s.seq_len << ')';
  return out;
}

class AttentionStep {
 public:
  AttentionStep(const AttentionCase& c, uint32_t kv_format)
      : case_(c),
        pool_(kv_desc(kv_format, c.num_kv_heads, c.head_dim, c.block_size,
                      count_blocks(c) + 3)),
        q_(c.dtype, count_tokens(c), c.num_q_heads * c.head_dim),
        out_(c.dtype, count_tokens(c), c.num_q_heads * c.head_dim) {
    std::mt19937 rng(42);
    q_.fill(rng);
    make_tables(rng);
    make_scales(rng);
    for (size_t s = 0; s < c.seqs.size(); ++s) fill_sequence(rng, s);
  }
  AttentionStep(const AttentionStep&) = delete;
  AttentionStep& operator=(const AttentionStep&) = delete;

  Attention op() {
    Attention op;
    op.num_seqs = static_cast<int64_t>(case_.seqs.size());
    op.num_tokens = count_tokens(case_);
    op.num_q_heads = case_.num_q_heads;
    op.dtype = case_.dtype;
    op.q = q_.in().data;
    op.q_stride = q_.in().row_stride;
    op.out = out_.out().data;
    op.out_stride = out_.out().row_stride;
    op.kv = pool_.layout();
    op.pool = pool_.data();
    op.q_starts = q_starts_.data();
    op.seq_lens = seq_lens_.data();
    op.block_table = block_table_.data();
    op.max_blocks_per_seq = max_blocks_;
    op.scale = scale();
    op.mask = case_.mask;
    op.window = case_.window;
    op.kv_scale = kv_scale_.data();
    op.q_inv = q_inv_.data();
    op.thresholds = thresholds_.data();
    return op;
  }

  // Runs `kernel` in the workspace that the limits ask for and no more.
  void run(const AttentionKernel& kernel, uint32_t num_threads) {
    const AttentionLimits limits{static_cast<int64_t>(case_.seqs.size()),
                                 count_tokens(case_),
                                 case_.num_q_heads,
                                 case_.num_kv_heads,
                                 case_.head_dim,
                                 num_threads};
    AlignedBytes workspace(attention_workspace_bytes(limits));
    std::memset(workspace.data(), 0xff, workspace.size());
    TestThreads threads(num_threads);
    run_attention(kernel, op(), {workspace.data(), workspace.size()},
                  threads.parallel());
    workspace.expect_guard_intact();
    out_.expect_guards_intact();
  }

  float scale() const {
    return 1.0f / std::sqrt(static_cast<float>(case_.head_dim));
  }
  float q(int64_t token, int64_t head, int64_t d) const {
    return q_.at(token, head * case_.head_dim + d);
  }
  float out(int64_t token, int64_t head, int64_t d) const {
    return out_.at(token, head * case_.head_dim + d);
  }
  const Matrix& out() const { return out_; }

  // K or V as stored, its scale included.
  double kv(int64_t seq, bool is_value, int64_t head, int64_t key,
            int64_t d) const {
    const KvPlace place = place_of(seq, is_value, head, key);
    const double code = pool_.code(place, d);
    if (pool_.layout().format == TSR_KV_I8_TOKEN) {
      return code * pool_.scale(place);
    }
    if (pool_.layout().format == TSR_KV_I8_CHANNEL) {
      return code * channel_scale(is_value, head, d);
    }
    return code;
  }
  float code(int64_t seq, bool is_value, int64_t head, int64_t key,
             int64_t d) const {
    return pool_.code(place_of(seq, is_value, head, key), d);
  }
  float kv_scale(int64_t i) const { return kv_scale_[static_cast<size_t>(i)]; }
  float q_inv(int64_t h) const { return q_inv_[static_cast<size_t>(h)]; }
  int32_t threshold(int64_t head, int k) const {
    return thresholds_[static_cast<size_t>(head * 127 + k - 1)];
  }

  int64_t first_token(int64_t seq) const {
    return q_starts_[static_cast<size_t>(seq)];
  }
  // Does query i of the sequence see key j?
  bool sees(const SeqCase& s, int64_t i, int64_t j) const {
    if (case_.mask == TSR_MASK_FULL) return true;
    const int64_t position = s.seq_len - s.q_len + i;
    if (j > position) return false;
    return case_.mask == TSR_MASK_CAUSAL || position - j < case_.window;
  }

 private:
  static int64_t blocks_of(const AttentionCase& c, const SeqCase& s) {
    return (s.seq_len + c.block_size - 1) / c.block_size;
  }
  static int64_t count_blocks(const AttentionCase& c) {
    int64_t n = 0;
    for (const SeqCase& s : c.seqs) n += blocks_of(c, s);
    return n;
  }
  static int64_t count_tokens(const AttentionCase& c) {
    int64_t n = 0;
    for (const SeqCase& s : c.seqs) n += s.q_len;
    return n;
  }

  // Blocks in random order; entries past a sequence are far out of range.
  void make_tables(std::mt19937& rng) {
    std::vector<int32_t> blocks(static_cast<size_t>(pool_.layout().num_blocks));
    std::iota(blocks.begin(), blocks.end(), 0);
    std::shuffle(blocks.begin(), blocks.end(), rng);
    for (const SeqCase& s : case_.seqs) {
      max_blocks_ = std::max(max_blocks_, blocks_of(case_, s) + 2);
    }
    block_table_.assign(case_.seqs.size() * static_cast<size_t>(max_blocks_),
                        std::numeric_limits<int32_t>::max());
    q_starts_.push_back(0);
    size_t next = 0;
    for (size_t i = 0; i < case_.seqs.size(); ++i) {
      const SeqCase& s = case_.seqs[i];
      q_starts_.push_back(q_starts_.back() + static_cast<int32_t>(s.q_len));
      seq_lens_.push_back(static_cast<int32_t>(s.seq_len));
      for (int64_t b = 0; b < blocks_of(case_, s); ++b) {
        block_table_[i * static_cast<size_t>(max_blocks_) +
                     static_cast<size_t>(b)] = blocks[next++];
      }
    }
  }

  void make_scales(std::mt19937& rng) {
    std::uniform_real_distribution<float> uniform(0.01f, 0.03f);
    const bool per_head = pool_.layout().format == TSR_KV_I8_HEAD;
    kv_scale_.resize(static_cast<size_t>(2 * case_.num_kv_heads *
                                         (per_head ? 1 : case_.head_dim)));
    for (float& s : kv_scale_) s = uniform(rng);
    for (int64_t h = 0; h < case_.num_q_heads; ++h) {
      const float q_scale = uniform(rng);
      q_inv_.push_back(1.0f / q_scale);
      const int64_t group = case_.num_q_heads / case_.num_kv_heads;
      const double c =
          double{q_scale} * kv_scale_[static_cast<size_t>(h / group)] * scale();
      for (int k = 1; k <= 127; ++k) {
        thresholds_.push_back(
            static_cast<int32_t>(std::floor(std::log(127.0 / (k - 0.5)) / c)));
      }
    }
  }

  void fill_sequence(std::mt19937& rng, size_t seq) {
    std::normal_distribution<float> normal;
    std::uniform_int_distribution<int> code(-127, 127);
    std::uniform_real_distribution<float> scale(0.01f, 0.03f);
    const bool is_code = pool_.layout().dtype == TSR_I8;
    for (int64_t key = 0; key < case_.seqs[seq].seq_len; ++key) {
      for (int64_t head = 0; head < case_.num_kv_heads; ++head) {
        for (const bool is_value : {false, true}) {
          const KvPlace place =
              place_of(static_cast<int64_t>(seq), is_value, head, key);
          for (int64_t d = 0; d < case_.head_dim; ++d) {
            pool_.set_code(
                place, d,
                is_code ? static_cast<float>(code(rng)) : normal(rng));
          }
          if (pool_.layout().format == TSR_KV_I8_TOKEN) {
            pool_.set_scale(place, scale(rng));
          }
        }
      }
    }
  }

  KvPlace place_of(int64_t seq, bool is_value, int64_t head,
                   int64_t key) const {
    const int64_t entry = seq * max_blocks_ + key / case_.block_size;
    return {block_table_[static_cast<size_t>(entry)], is_value, head,
            key % case_.block_size};
  }
  double channel_scale(bool is_value, int64_t head, int64_t d) const {
    const int64_t part = (is_value ? case_.num_kv_heads : 0) + head;
    return kv_scale(part * case_.head_dim + d);
  }

  AttentionCase case_;
  TestPool pool_;
  Matrix q_;
  Matrix out_;
  int64_t max_blocks_ = 0;
  std::vector<int32_t> q_starts_;
  std::vector<int32_t> seq_lens_;
  std::vector<int32_t> block_table_;
  std::vector<float> kv_scale_;
  std::vector<float> q_inv_;
  std::vector<int32_t> thresholds_;
};

// Varies one dimension at a time around an ordinary case, then mixes them.
std::vector<AttentionCase> attention_cases();

}  // namespace tessera::cpu
