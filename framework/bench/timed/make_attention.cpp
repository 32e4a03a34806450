// SPDX-License-Identifier: Apache-2.0
//
// A program of attentions over one KV cache, or over as many as do not fit into
// any cache.  Sequences are of one length and lie in blocks of their own.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "framework/bench/timed/make_op.hpp"
#include "framework/bench/timed/random_values.hpp"
#include "framework/conformance/reference/attention.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/format/kv_block.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::bench {
namespace {

constexpr uint32_t kBlockSize = 16;
constexpr uint32_t kOpsPerSubmission = 8;
constexpr uint32_t kMaxPools = 512;
constexpr uint32_t kMaxAppendTokens = 1024;  // of one step
constexpr uint64_t kHotOperations = 200'000'000;
constexpr uint32_t kNumThresholds = 127;
constexpr float kInt8Scale = 4.5f / 127.0f;  // of values of deviation 1

struct AttentionFacts {
  uint32_t batch = 1;
  uint32_t q_len = 1;
  uint32_t kv_len = 1;
  uint32_t heads = 1;
  uint32_t kv_heads = 1;
  uint32_t head_dim = 1;
  uint32_t kv_format = 0;
  uint32_t dtype = 0;  // of q and out
  uint32_t error_class = 0;
  uint32_t append_tokens = 1;  // rows of k and v, which repeat
  float scale = 1.0f;
  std::vector<float> q;
  std::vector<float> k;
  std::vector<float> v;

  uint32_t tokens() const { return batch * q_len; }
  uint32_t blocks_per_seq() const {
    return (kv_len + kBlockSize - 1) / kBlockSize;
  }
  bool is_fa3() const { return kv_format == TSR_KV_I8_HEAD; }
  tsr_kv_desc desc(uint32_t num_seqs) const {
    tsr_kv_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = kv_format;
    desc.num_kv_heads = kv_heads;
    desc.head_dim = head_dim;
    desc.block_size = kBlockSize;
    desc.num_blocks = blocks_per_seq() * num_seqs;
    return desc;
  }
};

// Places in TimedOp::buffers.
enum : size_t {
  kOut,
  kQ,
  kQStarts,
  kSeqLens,
  kBlockTable,
  kConstants  // fa3: q_inv, q_scale, kv_scale, thresholds
};

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

// Scales of static int8 attention, all alike.
std::vector<float> static_scales(const AttentionFacts& facts, bool inverse) {
  return std::vector<float>(size_t{2} * facts.kv_heads,
                            inverse ? 1.0f / kInt8Scale : kInt8Scale);
}

std::vector<int32_t> thresholds(const AttentionFacts& facts) {
  std::array<int32_t, kNumThresholds> row{};
  format::probability_thresholds(
      double{kInt8Scale} * double{kInt8Scale} * double{facts.scale}, row);
  std::vector<int32_t> all;
  for (uint32_t head = 0; head < facts.heads; ++head) {
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
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
  return add(bytes_of(thresholds(facts)));
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

struct Expected {
  std::vector<double> values;
  std::vector<double> bounds;
};

// What attention gives for the checked tokens, each a sequence of its own that
// ends where the mask does.
Result<Expected> expected_rows(const AttentionFacts& facts) {
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
  Expected expected;
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
  const std::vector<int32_t> codes = thresholds(facts);
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

Status check_attention(const AttentionFacts& facts, const Expected& expected,
                       TimedOp& op) {
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

struct KvName {
  const char* name;
  uint32_t format;
  uint32_t dtype;  // of q and out, if the device takes it
  Compute compute;
};

constexpr KvName kKvNames[] = {
    {"f32", TSR_KV_F32, TSR_F32, Compute::kF32},
    {"f16", TSR_KV_F16, TSR_F16, Compute::kF32},
    {"bf16", TSR_KV_BF16, TSR_BF16, Compute::kBf16},
    {"int8", TSR_KV_I8_TOKEN, TSR_BF16, Compute::kBf16},
    {"fa3", TSR_KV_I8_HEAD, TSR_BF16, Compute::kInt8},
};

const KvName& kv_named(const std::string& name) {
  for (const KvName& row : kKvNames) {
    if (name == row.name) return row;
  }
  return kKvNames[1];
}

// The type that q and out have on a device: `wanted`, else what it takes.
uint32_t choose_dtype(const Device& device, uint32_t kv_format,
                      uint32_t wanted) {
  for (const uint32_t dtype :
       {wanted, uint32_t{TSR_F16}, uint32_t{TSR_F32}, uint32_t{TSR_BF16}}) {
    KernelQuery query{TSR_OP_ATTENTION, dtype, 0, 0, kv_format};
    if (has_kernel(device, query)) return dtype;
  }
  return wanted;
}

Result<AttentionFacts> read_facts(const Device& device, const OpQuestion& q) {
  if (q.v_in_k || (q.v_dim != 0 && q.v_dim != q.head_dim)) {
    return Status(TSR_UNIMPLEMENTED,
                  "attention with V of another size runs on simulated devices "
                  "alone");
  }
  const auto size = [](int64_t value) { return static_cast<uint32_t>(value); };
  AttentionFacts facts;
  facts.batch = size(q.batch);
  facts.q_len = size(q.q_len);
  facts.kv_len = size(q.kv_len);
  facts.heads = size(q.heads);
  facts.kv_heads = size(q.kv_heads == 0 ? q.heads : q.kv_heads);
  facts.head_dim = size(q.head_dim);
  if (facts.q_len > facts.kv_len) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("q_len {} is more than kv_len {}, which counts "
                              "them",
                              facts.q_len, facts.kv_len));
  }
  if (facts.heads % facts.kv_heads != 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{} heads are no multiple of {} KV heads",
                              facts.heads, facts.kv_heads));
  }
  const KvName& kv = kv_named(q.kv);
  facts.kv_format = kv.format;
  facts.dtype = choose_dtype(device, kv.format, kv.dtype);
  facts.error_class = error_class_of(
      device, {TSR_OP_ATTENTION, facts.dtype, 0, 0, facts.kv_format});
  facts.scale = 1.0f / std::sqrt(static_cast<float>(facts.head_dim));
  facts.append_tokens = std::min(facts.kv_len, kMaxAppendTokens);
  const size_t values =
      size_t{facts.append_tokens} * facts.kv_heads * facts.head_dim;
  facts.k = random_values(values, 2);
  facts.v = random_values(values, 3);
  round_to_bytes(facts.k, facts.dtype);
  round_to_bytes(facts.v, facts.dtype);
  return facts;
}

// Bytes of K and V, scales included, that one run reads.
uint64_t kv_bytes(const AttentionFacts& facts) {
  uint32_t dtype = TSR_I8;
  if (facts.kv_format == TSR_KV_F32) dtype = TSR_F32;
  if (facts.kv_format == TSR_KV_F16) dtype = TSR_F16;
  if (facts.kv_format == TSR_KV_BF16) dtype = TSR_BF16;
  const uint64_t heads = uint64_t{facts.batch} * facts.kv_len * facts.kv_heads;
  const uint64_t scales =
      facts.kv_format == TSR_KV_I8_TOKEN ? heads * sizeof(float) : 0;
  return 2 * (dtype_bytes(dtype, heads * facts.head_dim) + scales);
}

OpCost attention_cost(const AttentionFacts& facts, Compute compute) {
  // Token i of q_len sees kv_len - q_len + i + 1 keys.
  const uint64_t q_len = facts.q_len;
  const uint64_t scores =
      q_len * (facts.kv_len - facts.q_len) + q_len * (q_len + 1) / 2;
  OpCost cost;
  cost.bytes = kv_bytes(facts) +
               2 * dtype_bytes(facts.dtype, uint64_t{facts.tokens()} *
                                                facts.heads * facts.head_dim);
  cost.operations =
      4 * uint64_t{facts.batch} * scores * facts.heads * facts.head_dim;
  cost.compute = compute;
  return cost;
}

}  // namespace

Result<std::unique_ptr<TimedOp>> make_attention(Submitter& submitter,
                                                const OpQuestion& question,
                                                const MakeOptions& options) {
  TSR_ASSIGN_OR_RETURN(AttentionFacts facts,
                       read_facts(submitter.device(), question));
  auto op = std::make_unique<TimedOp>(submitter);
  op->cost = attention_cost(facts, kv_named(question.kv).compute);
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
  TSR_ASSIGN_OR_RETURN(Expected expected, expected_rows(facts));
  op->check = [facts = std::move(facts), expected = std::move(expected),
               op = op.get()] { return check_attention(facts, expected, *op); };
  return op;
}

}  // namespace tessera::bench
