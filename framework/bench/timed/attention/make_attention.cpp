// SPDX-License-Identifier: Apache-2.0
//
// A program of attentions over one KV cache, or over as many as do not fit into
// any cache.  Sequences are of one length and lie in blocks of their own.

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "framework/bench/timed/attention/attention_check.hpp"
#include "framework/bench/timed/attention/attention_facts.hpp"
#include "framework/bench/timed/make_op.hpp"
#include "framework/bench/timed/random_values.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::bench {
namespace {

constexpr uint32_t kOpsPerSubmission = 8;
constexpr uint32_t kMaxPools = 512;
constexpr uint64_t kHotOperations = 200'000'000;

tsr_tensor tensor_of(uint32_t dtype, uint32_t flags,
                     std::initializer_list<tsr_dim> dims) {
  tsr_tensor tensor{};
  tensor.dtype = dtype;
  tensor.flags = flags;
  tensor.view_of = TSR_NONE;
  tensor.rank = static_cast<uint32_t>(dims.size());
  std::copy(dims.begin(), dims.end(), tensor.dims);
  return tensor;
}

tsr_tensor step_tensor(uint32_t role, std::initializer_list<tsr_dim> dims) {
  tsr_tensor tensor = tensor_of(TSR_I32, 0, dims);
  tensor.role = role;
  return tensor;
}

template <typename Value>
std::span<const std::byte> bytes_of(const std::vector<Value>& values) {
  return std::as_bytes(std::span(values));
}

// A program that stores tokens in the newest pool, and where it reads their
// slots.
struct Filler {
  explicit Filler(Submitter& submitter) : op(submitter) {}
  TimedOp op;  // buffers: k, v, slots and, of fa3, inverse scales
  static constexpr size_t kSlots = 2;
};

Result<std::unique_ptr<Filler>> make_filler(const AttentionFacts& facts,
                                            Submitter& submitter,
                                            const KvPool& pool) {
  auto filler = std::make_unique<Filler>(submitter);
  ProgramBuilder builder;
  builder.set_limits(facts.append_tokens, 1, 1, 1);
  tsr_op_kv_append append{};
  append.op.kind = TSR_OP_KV_APPEND;
  append.positions = append.table = append.kv_inv = TSR_NONE;
  const auto add = [&](const tsr_tensor& tensor,
                       std::span<const std::byte> bytes) -> Result<uint32_t> {
    TSR_ASSIGN_OR_RETURN(Buffer buffer, submitter.upload(bytes));
    const uint32_t id = builder.add_tensor(tensor);
    builder.bind(id, buffer.id(), 0);
    filler->op.buffers.push_back(std::move(buffer));
    return id;
  };
  const tsr_tensor row = tensor_of(facts.dtype, 0,
                                   {{facts.append_tokens, TSR_DIM_TOKENS},
                                    {facts.kv_heads, TSR_DIM_FIXED},
                                    {facts.head_dim, TSR_DIM_FIXED}});
  std::vector<float> k = facts.k;
  std::vector<float> v = facts.v;
  TSR_ASSIGN_OR_RETURN(append.k, add(row, round_to_bytes(k, facts.dtype)));
  TSR_ASSIGN_OR_RETURN(append.v, add(row, round_to_bytes(v, facts.dtype)));
  TSR_ASSIGN_OR_RETURN(
      append.slot_mapping,
      add(step_tensor(TSR_ROLE_SLOT_MAPPING,
                      {{facts.append_tokens, TSR_DIM_TOKENS}}),
          bytes_of(std::vector<int32_t>(facts.append_tokens))));
  if (facts.is_fa3()) {
    TSR_ASSIGN_OR_RETURN(
        append.kv_inv,
        add(tensor_of(TSR_F32, TSR_TENSOR_CONSTANT,
                      {{2, TSR_DIM_FIXED}, {facts.kv_heads, TSR_DIM_FIXED}}),
            bytes_of(static_scales(facts, true))));
  }
  builder.add_op(append);
  builder.add_kv_pool(pool.id());
  tsr_step_shape step{};
  step.num_tokens = facts.append_tokens;
  step.num_seqs = 1;
  step.seq_len = facts.append_tokens;
  step.phase = TSR_PREFILL;
  TSR_RETURN_IF_ERROR(
      add_submission(builder.build(), step, facts.append_tokens, filler->op));
  return filler;
}

// Stores every token of every sequence in the newest pool.
Status fill_pool(const AttentionFacts& facts, TimedOp& op) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Filler> filler,
                       make_filler(facts, op.submitter, op.pools.back()));
  std::vector<int32_t> slots(facts.append_tokens);
  for (uint32_t s = 0; s < facts.batch; ++s) {
    const uint32_t start = s * facts.blocks_per_seq() * kBlockSize;
    for (uint32_t first = 0; first < facts.kv_len;
         first += facts.append_tokens) {
      for (uint32_t i = 0; i < facts.append_tokens; ++i) {
        const bool is_past = first + i >= facts.kv_len;
        slots[i] = is_past ? -1 : static_cast<int32_t>(start + first + i);
      }
      TSR_RETURN_IF_ERROR(op.submitter.write(filler->op.buffers[Filler::kSlots],
                                             bytes_of(slots)));
      TSR_RETURN_IF_ERROR(filler->op.run());
    }
  }
  return {};
}

// Everything that the ops of all submissions read and write.
Status upload_step(AttentionFacts& facts, TimedOp& op) {
  const auto add = [&op](std::span<const std::byte> bytes) -> Status {
    TSR_ASSIGN_OR_RETURN(Buffer buffer, op.submitter.upload(bytes));
    op.buffers.push_back(std::move(buffer));
    return {};
  };
  const size_t values = size_t{facts.tokens()} * facts.heads * facts.head_dim;
  TSR_RETURN_IF_ERROR(add(std::vector<std::byte>(
      dtype_bytes(facts.dtype, values), std::byte{0xff})));
  facts.q = random_values(values, 1);
  TSR_RETURN_IF_ERROR(add(round_to_bytes(facts.q, facts.dtype)));
  std::vector<int32_t> q_starts(facts.batch + 1);
  for (uint32_t s = 0; s <= facts.batch; ++s) {
    q_starts[s] = static_cast<int32_t>(s * facts.q_len);
  }
  TSR_RETURN_IF_ERROR(add(bytes_of(q_starts)));
  TSR_RETURN_IF_ERROR(add(bytes_of(
      std::vector<int32_t>(facts.batch, static_cast<int32_t>(facts.kv_len)))));
  std::vector<int32_t> table(size_t{facts.batch} * facts.blocks_per_seq());
  std::iota(table.begin(), table.end(), 0);
  TSR_RETURN_IF_ERROR(add(bytes_of(table)));
  if (!facts.is_fa3()) return {};
  TSR_RETURN_IF_ERROR(
      add(bytes_of(std::vector<float>(facts.heads, 1.0f / kInt8Scale))));
  TSR_RETURN_IF_ERROR(
      add(bytes_of(std::vector<float>(facts.heads, kInt8Scale))));
  TSR_RETURN_IF_ERROR(add(bytes_of(static_scales(facts, false))));
  return add(bytes_of(fa3_thresholds(facts)));
}

std::vector<tsr_tensor> attention_tensors(const AttentionFacts& facts) {
  const tsr_tensor rows = tensor_of(facts.dtype, 0,
                                    {{facts.tokens(), TSR_DIM_TOKENS},
                                     {facts.heads, TSR_DIM_FIXED},
                                     {facts.head_dim, TSR_DIM_FIXED}});
  std::vector<tsr_tensor> tensors = {
      rows, rows,
      step_tensor(TSR_ROLE_Q_STARTS,
                  {{facts.batch + 1, TSR_DIM_SEQS_PLUS_ONE}}),
      step_tensor(TSR_ROLE_SEQ_LENS, {{facts.batch, TSR_DIM_SEQS}}),
      step_tensor(TSR_ROLE_BLOCK_TABLE,
                  {{facts.batch, TSR_DIM_SEQS},
                   {facts.blocks_per_seq(), TSR_DIM_FIXED}})};
  if (!facts.is_fa3()) return tensors;
  const tsr_tensor of_heads =
      tensor_of(TSR_F32, TSR_TENSOR_CONSTANT, {{facts.heads, TSR_DIM_FIXED}});
  tensors.push_back(of_heads);
  tensors.push_back(of_heads);
  tensors.push_back(
      tensor_of(TSR_F32, TSR_TENSOR_CONSTANT,
                {{2, TSR_DIM_FIXED}, {facts.kv_heads, TSR_DIM_FIXED}}));
  tensors.push_back(tensor_of(
      TSR_I32, TSR_TENSOR_CONSTANT,
      {{facts.heads, TSR_DIM_FIXED}, {kNumThresholds, TSR_DIM_FIXED}}));
  return tensors;
}

std::vector<std::byte> attention_record(const AttentionFacts& facts,
                                        uint32_t first, uint32_t num_ops,
                                        const TimedOp& op) {
  ProgramBuilder builder;
  builder.set_limits(facts.tokens(), facts.batch, 1, facts.blocks_per_seq());
  const std::vector<tsr_tensor> tensors = attention_tensors(facts);
  for (size_t i = 0; i < tensors.size(); ++i) {
    builder.bind(builder.add_tensor(tensors[i]), op.buffers[i].id(), 0);
  }
  const bool is_cold = op.pools.size() > 1;
  tsr_op_attention attention{};
  attention.op.kind = TSR_OP_ATTENTION;
  attention.q = kQ;
  attention.out = kOut;
  attention.q_starts = kQStarts;
  attention.seq_lens = kSeqLens;
  attention.block_table = kBlockTable;
  attention.num_q_heads = facts.heads;
  attention.mask = TSR_MASK_CAUSAL;
  attention.scale = facts.scale;
  attention.q_inv = attention.q_scale = attention.kv_scale =
      attention.thresholds = TSR_NONE;
  if (facts.is_fa3()) {
    attention.q_inv = kConstants;
    attention.q_scale = kConstants + 1;
    attention.kv_scale = kConstants + 2;
    attention.thresholds = kConstants + 3;
  }
  for (uint32_t i = 0; i < num_ops; ++i) {
    attention.kv = is_cold ? i : 0;
    builder.add_op(attention);
  }
  for (uint32_t i = 0; i < (is_cold ? num_ops : 1); ++i) {
    builder.add_kv_pool(op.pools[first + i].id());
  }
  return builder.build();
}

}  // namespace

Result<std::unique_ptr<TimedOp>> make_attention(Submitter& submitter,
                                                const OpQuestion& question,
                                                const MakeOptions& options) {
  TSR_ASSIGN_OR_RETURN(AttentionFacts facts,
                       read_attention_facts(submitter.device(), question));
  auto op = std::make_unique<TimedOp>(submitter);
  op->cost = attention_cost(facts, question.kv);
  uint32_t pools = 1;
  if (options.cold) {
    const auto wanted = static_cast<uint32_t>(std::clamp<uint64_t>(
        options.cold_bytes / kv_bytes(facts) + 1, 1, kMaxPools));
    op->copies = std::min(wanted, kOpsPerSubmission);
    pools = (wanted + op->copies - 1) / op->copies * op->copies;
  } else {
    op->copies = static_cast<uint32_t>(
        std::clamp<uint64_t>(kHotOperations / op->cost.operations, 1, 16));
  }
  TSR_RETURN_IF_ERROR(upload_step(facts, *op));
  for (uint32_t i = 0; i < pools; ++i) {
    TSR_ASSIGN_OR_RETURN(KvPool pool, submitter.device().create_kv_pool(
                                          facts.desc(facts.batch)));
    op->pools.push_back(std::move(pool));
    TSR_RETURN_IF_ERROR(fill_pool(facts, *op));
  }
  tsr_step_shape step{};
  step.struct_size = sizeof(step);
  step.num_tokens = facts.tokens();
  step.num_seqs = facts.batch;
  step.num_outputs = 1;
  step.seq_len = facts.kv_len;
  step.phase = facts.q_len == 1 ? TSR_DECODE : TSR_PREFILL;
  for (uint32_t first = 0; first < pools; first += op->copies) {
    TSR_RETURN_IF_ERROR(
        add_submission(attention_record(facts, first, op->copies, *op), step,
                       facts.q_len, *op));
    if (pools == 1) break;
  }
  op->rotated_bytes = options.cold ? kv_bytes(facts) * pools : op->cost.bytes;
  TSR_ASSIGN_OR_RETURN(ExpectedTokens expected, expected_tokens(facts));
  op->check = [facts = std::move(facts), expected = std::move(expected),
               op = op.get()] { return check_attention(facts, expected, *op); };
  return op;
}

}  // namespace tessera::bench
