// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/timed/attention/attention_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "framework/bench/timed/random_values.hpp"
#include "framework/conformance/reference/attention/attention.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/format/kv_block.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::bench {
namespace {

// A token whose result is checked.
struct CheckedToken {
  uint32_t sequence;
  uint32_t index;  // within q_len
};

std::vector<CheckedToken> checked_tokens(const AttentionFacts& facts) {
  std::vector<CheckedToken> tokens = {{0, facts.q_len - 1}};
  if (facts.tokens() > 1) {
    tokens.push_back({facts.batch - 1, facts.q_len / 2});
  }
  return tokens;
}

// The cache of one sequence, which is that of all, as the reference has it.
Result<std::vector<std::byte>> reference_cache(const AttentionFacts& facts) {
  const tsr_kv_desc desc = facts.desc(1);
  TSR_ASSIGN_OR_RETURN(const format::KvBlockLayout layout,
                       format::kv_block_layout(desc));
  std::vector<std::byte> memory(layout.bytes * desc.num_blocks);
  TSR_ASSIGN_OR_RETURN(const reference::KvPool pool,
                       reference::KvPool::open(desc, memory));
  const std::vector<float> kv_inv = static_scales(facts, true);
  std::vector<int32_t> slots(facts.append_tokens);
  for (uint32_t first = 0; first < facts.kv_len; first += facts.append_tokens) {
    reference::KvAppend append;
    append.num_tokens = std::min(facts.append_tokens, facts.kv_len - first);
    std::iota(slots.begin(), slots.end(), static_cast<int32_t>(first));
    append.k = facts.k.data();
    append.v = facts.v.data();
    append.slot_mapping = slots.data();
    if (facts.is_fa3()) append.kv_inv = kv_inv.data();
    TSR_RETURN_IF_ERROR(reference::kv_append(append, pool));
  }
  return memory;
}

}  // namespace

Result<ExpectedTokens> expected_tokens(const AttentionFacts& facts) {
  TSR_ASSIGN_OR_RETURN(std::vector<std::byte> memory, reference_cache(facts));
  TSR_ASSIGN_OR_RETURN(const reference::KvPool pool,
                       reference::KvPool::open(facts.desc(1), memory));
  const size_t row = size_t{facts.heads} * facts.head_dim;
  const std::vector<CheckedToken> tokens = checked_tokens(facts);
  std::vector<float> q;
  std::vector<int32_t> q_starts = {0};
  std::vector<int32_t> seq_lens;
  std::vector<int32_t> table;
  for (const CheckedToken& token : tokens) {
    const size_t at = size_t{token.sequence} * facts.q_len + token.index;
    const auto first = facts.q.begin() + static_cast<ptrdiff_t>(at * row);
    q.insert(q.end(), first, first + static_cast<ptrdiff_t>(row));
    q_starts.push_back(q_starts.back() + 1);
    seq_lens.push_back(
        static_cast<int32_t>(facts.kv_len - facts.q_len + token.index + 1));
    for (uint32_t b = 0; b < facts.blocks_per_seq(); ++b) {
      table.push_back(static_cast<int32_t>(b));
    }
  }
  reference::Attention p;
  p.num_seqs = static_cast<uint32_t>(tokens.size());
  p.num_q_heads = facts.heads;
  p.q = q.data();
  p.q_starts = q_starts.data();
  p.seq_lens = seq_lens.data();
  p.block_table = table.data();
  p.max_blocks_per_seq = facts.blocks_per_seq();
  p.scale = facts.scale;
  ExpectedTokens expected;
  expected.values.resize(q.size());
  expected.bounds.resize(q.size());
  if (!facts.is_fa3()) {
    TSR_RETURN_IF_ERROR(reference::attention(p, pool, expected.values.data()));
    TSR_RETURN_IF_ERROR(reference::attention_bound(
        p, pool, {facts.error_class, facts.dtype, TSR_BF16},
        expected.bounds.data()));
    return expected;
  }
  const std::vector<float> q_inv(facts.heads, 1.0f / kInt8Scale);
  const std::vector<float> kv_scale = static_scales(facts, false);
  const std::vector<int32_t> codes = fa3_thresholds(facts);
  p.q_inv = q_inv.data();
  p.kv_scale = kv_scale.data();
  p.thresholds = codes.data();
  std::vector<float> exact(q.size());
  TSR_RETURN_IF_ERROR(reference::attention_fa3(p, pool, exact.data()));
  for (size_t i = 0; i < exact.size(); ++i) {
    expected.values[i] = double{exact[i]};
    // Only the rounding to the type of out.
    expected.bounds[i] = facts.dtype == TSR_F32
                             ? 0.0
                             : reference::unit_roundoff(facts.dtype) *
                                   std::abs(expected.values[i]) * 1.01;
  }
  return expected;
}

Status check_attention(const AttentionFacts& facts,
                       const ExpectedTokens& expected, TimedOp& op) {
  const size_t row = size_t{facts.heads} * facts.head_dim;
  TSR_ASSIGN_OR_RETURN(
      const std::vector<std::byte> bytes,
      op.submitter.download(op.buffers[kOut],
                            dtype_bytes(facts.dtype, facts.tokens() * row)));
  const std::vector<float> out = values_of(bytes, facts.dtype);
  const std::vector<CheckedToken> tokens = checked_tokens(facts);
  for (size_t t = 0; t < tokens.size(); ++t) {
    const size_t token =
        size_t{tokens[t].sequence} * facts.q_len + tokens[t].index;
    for (size_t i = 0; i < row; ++i) {
      const double found = double{out[token * row + i]};
      const double wanted = expected.values[t * row + i];
      const double bound = expected.bounds[t * row + i];
      if (std::abs(found - wanted) <= bound) continue;
      return {TSR_DATA_LOSS,
              fmt::format("out[{}, {}, {}] is {}, not {} +- {}", token,
                          i / facts.head_dim, i % facts.head_dim, found, wanted,
                          bound)};
    }
  }
  for (size_t i = 0; i < out.size(); ++i) {
    if (std::isfinite(out[i])) continue;
    return {TSR_DATA_LOSS, fmt::format("out[{}] is {}", i, out[i])};
  }
  return {};
}

}  // namespace tessera::bench
