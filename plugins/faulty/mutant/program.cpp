// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cfenv>
#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include "device.hpp"

namespace mutant {

namespace sdk = tessera::sdk;

namespace {

// Bytes that every program of the mutant asks the host for.
constexpr uint64_t kScratchBytes = 512;

bool takes_two(uint32_t kind) {
  return kind == TSR_OP_ADD || kind == TSR_OP_SILU_MUL;
}

}  // namespace

Program::Op Program::read_op(const sdk::OpRecord& record) {
  Op op;
  switch (record.kind()) {
    case TSR_OP_LINEAR:
      op.linear = record.as<tsr_op_linear>();
      break;
    case TSR_OP_ATTENTION:
      op.attention = record.as<tsr_op_attention>();
      break;
    case TSR_OP_KV_APPEND:
      op.append = record.as<tsr_op_kv_append>();
      break;
    case TSR_OP_RMS_NORM:
      op.norm = record.as<tsr_op_norm>();
      break;
    case TSR_OP_ROPE:
      op.rope = record.as<tsr_op_rope>();
      break;
    case TSR_OP_SOFTMAX:
      op.softmax = record.as<tsr_op_softmax>();
      break;
    case TSR_OP_EMBEDDING:
    case TSR_OP_GATHER_ROWS:
      op.gather = record.as<tsr_op_gather>();
      break;
    default:
      op.elementwise = record.as<tsr_op_elementwise>();
  }
  return op;
}

Program::Program(const sdk::ProgramView& program, MutantDevice& device)
    : device_(device),
      desc_(program.desc()),
      tensors_(program.tensors()),
      places_(program, device) {
  for (const sdk::OpRecord& record : program.ops()) {
    kinds_.push_back(record.kind());
    ops_.push_back(read_op(record));
  }
  if (has("reads_record_later")) records_ = program.ops();
  for (const uint64_t id : program.weights()) {
    weights_.push_back(device.weights().find(id));
  }
  for (const uint64_t id : program.kv_pools()) {
    pools_.push_back(device.pools().find(id));
  }
  if (has("null_allocation_used")) {
    void* memory = device.host().alloc(device.host().host, kScratchBytes, 64);
    std::memset(memory, 0, kScratchBytes);
    device.host().free(device.host().host, memory);
  }
  scratch_ =
      std::make_shared<sdk::HostBuffer>(device.host(), kScratchBytes, 64);
  scratch_memory_ = scratch_->at(0, 0);
  if (has("leaks_host_memory")) {
    (void)device.host().alloc(device.host().host, 64, 64);
  }
  if (has("leaks_heap")) {
    static void* volatile lost = nullptr;
    lost = std::malloc(2048);
    std::memset(lost, 1, 2048);
  }
  if (has("leaks_descriptors")) (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (has("leaks_threads")) {
    std::thread([] {
      std::this_thread::sleep_for(std::chrono::hours(1));
    }).detach();
  }
}

Program::~Program() {
  if (!has("frees_twice")) return;
  device_.host().free(device_.host().host, scratch_memory_);
}

Rows Program::rows(uint32_t tensor, uint64_t width) const {
  const tsr_tensor& t = tensors_[tensor];
  Rows rows;
  rows.data = places_.at<char>(tensor);
  if (has("view_offset_ignored") && tensors_[tensor].view_of != TSR_NONE) {
    rows.data = places_.at<char>(tensors_[tensor].view_of);
  }
  rows.dtype = t.dtype;
  const uint64_t last = t.dims[t.rank - 1].max;
  rows.stride = width == last && t.row_stride != 0 ? t.row_stride : width;
  return rows;
}

uint64_t Program::count_rows(uint32_t tensor, uint64_t width,
                             const tsr_submission& step) const {
  const tsr_tensor& t = tensors_[tensor];
  const uint64_t last = t.dims[t.rank - 1].max;
  const tsr_submission& sizes = has("sizes_of_first_step") ? first_ : step;
  const uint64_t rows = sdk::num_rows(t, sizes) * last / width;
  if (has("replays_with_sizes_of_last_step") && is_replay_) {
    return std::min(rows, sdk::num_rows(t, last_) * last / width);
  }
  if (has("sizes_never_shrink")) {
    most_rows_ = std::max(most_rows_, rows);
    return most_rows_;
  }
  if (has("runs_all_rows")) {
    uint64_t all = last;
    for (uint32_t d = 0; d + 1 < t.rank; ++d) all *= t.dims[d].max;
    return all / width;
  }
  return rows;
}

void Program::run(const sdk::SubmissionView& step) {
  if (!has("step_sizes_unchecked")) sdk::check_step(desc_, step.value());
  if (num_steps_ == 0 || !has("bindings_of_first_step")) places_.bind(step);
  if (num_steps_++ == 0) first_ = step.value();
  for (size_t i = 0; i < records_.size(); ++i) ops_[i] = read_op(records_[i]);
  is_replay_ = ++times_of_size_[step.value().num_tokens] > 2;
  for (uint32_t i = 0; i < kinds_.size(); ++i) run_op(i, step.value());
  last_ = step.value();
  misbehave(step.value());
}

void Program::run_op(uint32_t index, const tsr_submission& step) {
  const Op& op = ops_[index];
  switch (kinds_[index]) {
    case TSR_OP_LINEAR:
      return run_linear(op.linear, step);
    case TSR_OP_ATTENTION:
      return run_attention(op.attention, step);
    case TSR_OP_KV_APPEND:
      return run_append(op.append, step);
    default:
      return run_row_op(kinds_[index], op, step);
  }
}

void Program::run_linear(const tsr_op_linear& op, const tsr_submission& step) {
  LinearWork work{};
  work.weight = weights_[op.weight].get();
  work.op = op;
  work.n_begin = op.n_begin;
  work.n_end = op.n_end == 0 ? work.weight->N : op.n_end;
  const uint64_t width = work.n_end - work.n_begin;
  work.M = count_rows(op.x, work.weight->K, step);
  work.num_decode_tokens = step.num_decode_tokens;
  work.x = rows(op.x, work.weight->K);
  work.y = rows(op.y, width);
  if (op.multiplier != TSR_NONE) work.multiplier = rows(op.multiplier, width);
  if (op.residual != TSR_NONE) work.residual = rows(op.residual, width);
  if (has("residual_has_the_stride_of_y")) work.residual.stride = work.y.stride;
  if (has("decode_tokens_of_first_step")) {
    work.num_decode_tokens = first_.num_decode_tokens;
  }
  work.bias = op.bias == TSR_NONE ? nullptr : places_.at<float>(op.bias);
  if (has("input_changed")) work.x.set(0, 0, 0.25f);
  linear(work, device_.host());
}

void Program::run_attention(const tsr_op_attention& op,
                            const tsr_submission& step) {
  AttentionWork work{};
  work.op = op;
  work.pool = *pools_[op.kv];
  const uint64_t width = uint64_t{op.num_q_heads} * work.pool.desc.head_dim;
  work.num_seqs = step.num_seqs;
  const tsr_tensor& table = tensors_[op.block_table];
  work.max_blocks = table.dims[table.rank - 1].max;
  work.q = rows(op.q, width);
  work.out = rows(op.out, width);
  work.q_starts = places_.at<int32_t>(op.q_starts);
  work.seq_lens = places_.at<int32_t>(op.seq_lens);
  work.block_table = places_.at<int32_t>(op.block_table);
  attention(work);
}

void Program::run_append(const tsr_op_kv_append& op,
                         const tsr_submission& step) {
  AppendWork work{};
  work.op = op;
  work.pool = *pools_[op.kv];
  const uint64_t width =
      uint64_t{work.pool.desc.num_kv_heads} * work.pool.desc.head_dim;
  work.num_tokens = count_rows(op.k, width, step);
  work.k = rows(op.k, width);
  work.v = rows(op.v, width);
  work.slots = places_.at<int32_t>(op.slot_mapping);
  if (op.style != TSR_ROPE_NONE) {
    work.positions = places_.at<int32_t>(op.positions);
    work.table = places_.at<float>(op.table);
  }
  kv_append(work);
}

void Program::run_row_op(uint32_t kind, const Op& op,
                         const tsr_submission& step) {
  RowWork work{};
  work.kind = kind;
  work.heads = 1;
  uint32_t a = op.elementwise.a;
  uint32_t y = op.elementwise.y;
  uint32_t b = op.elementwise.b;
  if (kind == TSR_OP_RMS_NORM) {
    a = op.norm.x;
    y = op.norm.y;
    b = op.norm.weight;
    work.parameter = op.norm.eps;
  } else if (kind == TSR_OP_SOFTMAX) {
    a = op.softmax.x;
    y = op.softmax.y;
    b = TSR_NONE;
    work.parameter = op.softmax.scale;
  } else if (kind == TSR_OP_ROPE) {
    a = op.rope.x;
    y = op.rope.y;
    b = TSR_NONE;
    work.ids = places_.at<int32_t>(op.rope.positions);
    work.table = places_.at<float>(op.rope.table);
    work.style = op.rope.style;
    work.rotary_dim = op.rope.rotary_dim;
    const tsr_tensor& t = tensors_[a];
    for (uint32_t d = 1; d + 1 < t.rank; ++d) work.heads *= t.dims[d].max;
  } else if (kind == TSR_OP_EMBEDDING || kind == TSR_OP_GATHER_ROWS) {
    a = op.gather.table;
    y = op.gather.y;
    b = TSR_NONE;
    work.ids = places_.at<int32_t>(op.gather.rows);
    const tsr_tensor& t = tensors_[a];
    work.table_rows = t.dims[0].max;
  }
  const tsr_tensor& out = tensors_[y];
  work.N = out.dims[out.rank - 1].max;
  work.rows = count_rows(y, work.N, step);
  work.a = rows(a, work.N);
  if (b != TSR_NONE) work.b = rows(b, work.N);
  work.y = rows(y, work.N);
  if (has("input_changed")) work.a.set(0, 0, 0.25f);
  if (has("kernel_of_first_width") && takes_two(kind)) {
    // Compiled kernels are kept, but under too short a key.
    static std::map<uint64_t, uint32_t> compiled;
    work.kind = compiled.try_emplace(work.N, kind).first->second;
  }
  row_op(work);
}

// Faults that any op may have once it has computed.
void Program::misbehave(const tsr_submission& step) {
  uint32_t y =
      kinds_[0] == TSR_OP_LINEAR ? ops_[0].linear.y : ops_[0].elementwise.y;
  if (kinds_[0] != TSR_OP_ADD && kinds_[0] != TSR_OP_LINEAR) return;
  const tsr_tensor& t = tensors_[y];
  const uint64_t width = t.dims[t.rank - 1].max;
  const Rows out = rows(y, width);
  const uint64_t all = sdk::tensor_span(t);
  if (has("writes_past_end")) out.set(0, all, 1.0f);
  if (has("writes_far_past_end")) out.set(0, all + 20, 1.0f);
  if (has("writes_before_start")) (out.data - 4)[0] = 1;
  if (has("writes_between_rows") && out.stride > width) out.set(0, width, 1.0f);
  if (has("last_element_missing")) out.set(0, width - 1, 77.0f);
  if (has("differs_from_run_to_run")) {
    out.set(0, 0, out.at(0, 0) + 1e-7f * static_cast<float>(num_steps_ % 2));
    if (num_steps_ % 2 == 0) out.set(0, 0, std::nextafter(out.at(0, 0), 9e9f));
  }
  if (has("stale_workspace")) {
    // What the step before this one left there.
    auto* left = reinterpret_cast<float*>(scratch_->at(0, 64));
    if (num_steps_ > 1) out.set(0, 0, out.at(0, 0) + left[0]);
    left[0] = 1.0f;
  }
  if (has("wants_all_memory")) {
    for (int i = 0; i < 64; ++i) {
      auto* piece = static_cast<volatile char*>(std::malloc(size_t{1} << 30));
      piece[0] = 1;
    }
  }
  if (has("aborts")) std::abort();
  if (has("ends_the_process")) std::_Exit(3);
  if (has("crashes_on_second_step") && num_steps_ == 2) {
    *static_cast<volatile int*>(nullptr) = 1;
  }
  if (has("rounding_left_upward")) std::fesetround(FE_UPWARD);
  if (has("hangs_on_one_token") && step.num_tokens == 1) {
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  if (has("uses_freed_memory")) {
    volatile char* memory = scratch_->at(0, 0);
    scratch_ = std::make_shared<sdk::HostBuffer>(device_.host(), 64, 64);
    memory[0] = 1;
  }
}

}  // namespace mutant
