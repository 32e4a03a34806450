// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/trial/op_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "framework/conformance/kit/trial/weight_descs.hpp"
#include "framework/conformance/reference/attention/kv.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/format/element.hpp"
#include "framework/format/kv_block.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::conformance {
namespace {

// Before and behind a tensor in memory of the device's own; a multiple of every
// offset alignment that graphics APIs know.
constexpr uint64_t kMargin = 256;
constexpr std::byte kMarginByte{0x3c};

constexpr std::byte kRuined{0xee};

Status first_refusal(const std::vector<tsr_refusal>& refusals) {
  if (refusals.empty()) return {};
  const tsr_refusal& refusal = refusals.front();
  return {TSR_UNIMPLEMENTED,
          fmt::format("refused what its kernel table claims: op {}: {}",
                      refusal.op, refusal.message)};
}

}  // namespace

Result<std::unique_ptr<OpRun>> OpRun::prepare(
    const std::shared_ptr<Device>& device, const OpSetup& setup,
    Memory memory) {
  std::unique_ptr<OpRun> run(new OpRun(device, setup, memory));
  run->numbers_ = setup.step;
  const WeightDescs weights(setup.weights());
  TSR_ASSIGN_OR_RETURN(
      const std::vector<tsr_refusal> refusals,
      device->check(setup.question(), weights.all(), setup.kv_pools()));
  TSR_RETURN_IF_ERROR(first_refusal(refusals));
  const size_t count = setup.tensors().size();
  run->guarded_.resize(count);
  run->buffers_.resize(count);
  run->offsets_.resize(count);
  run->results_.resize(count);
  for (uint32_t id = 0; id < count; ++id) {
    TSR_RETURN_IF_ERROR(run->place(id));
  }
  TSR_RETURN_IF_ERROR(run->upload());  // constants may be read from now on
  TSR_RETURN_IF_ERROR(run->load_objects());
  return run;
}

Status OpRun::place(uint32_t tensor) {
  const SetupTensor& made = setup_.tensor(tensor);
  if (made.contents.empty()) return {};  // a view, or transient
  const uint64_t bytes = made.contents.size();
  const Result<uint32_t> import =
      device_->memory_kind_with(TSR_MEMORY_IMPORT_HOST);
  if (memory_ == Memory::kGuarded && import.ok()) {
    const uint32_t alignment =
        std::max(device_->memory_kinds()[*import].alignment, 4U);
    TSR_ASSIGN_OR_RETURN(
        GuardedMemory memory,
        GuardedMemory::create(bytes, alignment, "tensor " + made.name));
    Result<Buffer> buffer = device_->import_host(memory.data(), bytes);
    if (buffer.ok()) {
      guarded_[tensor] = std::move(memory);
      buffers_[tensor] = std::move(*buffer);
      return {};
    }
    if (buffer.status().code() != TSR_UNIMPLEMENTED) return buffer.status();
  }
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       device_->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  TSR_ASSIGN_OR_RETURN(buffers_[tensor],
                       device_->create_buffer(bytes + 2 * kMargin, kind));
  offsets_[tensor] = kMargin;
  return {};
}

Status OpRun::load_objects() {
  std::vector<uint64_t> weight_ids;
  for (const format::WeightData& weight : setup_.weights()) {
    TSR_ASSIGN_OR_RETURN(Weight loaded,
                         device_->load_weight(weight.view().desc()));
    weight_ids.push_back(loaded.id());
    weights_.push_back(std::move(loaded));
  }
  std::vector<uint64_t> pool_ids;
  for (const tsr_kv_desc& desc : setup_.kv_pools()) {
    TSR_ASSIGN_OR_RETURN(KvPool pool, device_->create_kv_pool(desc));
    pool_ids.push_back(pool.id());
    pools_.push_back(std::move(pool));
  }
  std::vector<tsr_binding> bindings;
  for (uint32_t id = 0; id < setup_.tensors().size(); ++id) {
    const SetupTensor& made = setup_.tensor(id);
    if ((made.tensor.flags & TSR_TENSOR_CONSTANT) == 0) continue;
    bindings.push_back({id, 0, buffers_[id].id(), offsets_[id]});
  }
  record_ = setup_.record(weight_ids, pool_ids, bindings);
  // A record is read during the call alone: what comes later finds nonsense.
  given_record_ = record_;
  Result<Program> program = device_->create_program(given_record_);
  std::fill(given_record_.begin(), given_record_.end(), kRuined);
  TSR_ASSIGN_OR_RETURN(program_, std::move(program));
  TSR_RETURN_IF_ERROR(program_.segments().status());
  TSR_ASSIGN_OR_RETURN(queue_, device_->create_queue());
  return {};
}

Status OpRun::upload() {
  for (uint32_t id = 0; id < buffers_.size(); ++id) {
    const std::vector<std::byte>& contents = setup_.tensor(id).contents;
    if (contents.empty()) continue;
    TSR_ASSIGN_OR_RETURN(void* mapped, buffers_[id].map());
    auto* memory = static_cast<std::byte*>(mapped);
    const uint64_t offset = offsets_[id];
    if (offset != 0) {
      std::fill_n(memory, offset, kMarginByte);
      std::fill_n(memory + offset + contents.size(), kMargin, kMarginByte);
    }
    std::copy(contents.begin(), contents.end(), memory + offset);
    TSR_RETURN_IF_ERROR(buffers_[id].flush());
  }
  return {};
}

Status OpRun::download() {
  for (uint32_t id = 0; id < buffers_.size(); ++id) {
    const size_t bytes = setup_.tensor(id).contents.size();
    if (bytes == 0) continue;
    TSR_RETURN_IF_ERROR(buffers_[id].invalidate());
    TSR_ASSIGN_OR_RETURN(void* mapped, buffers_[id].map());
    const auto* memory = static_cast<const std::byte*>(mapped);
    results_[id].assign(memory, memory + buffers_[id].bytes());
  }
  for (uint32_t id = 0; id < results_.size(); ++id) {
    const SetupTensor& made = setup_.tensor(id);
    TSR_RETURN_IF_ERROR(guarded_[id].check());
    if (offsets_[id] == 0) continue;
    std::vector<std::byte>& all = results_[id];
    const auto is_margin = [](std::byte b) { return b == kMarginByte; };
    const auto body = all.begin() + static_cast<std::ptrdiff_t>(kMargin);
    const auto end = all.end() - static_cast<std::ptrdiff_t>(kMargin);
    if (!std::all_of(all.begin(), body, is_margin)) {
      return {TSR_INTERNAL, "wrote before the start of tensor " + made.name};
    }
    if (!std::all_of(end, all.end(), is_margin)) {
      return {TSR_INTERNAL, "wrote past the end of tensor " + made.name};
    }
    all = std::vector<std::byte>(body, end);
  }
  return {};
}

SubmissionBuilder OpRun::submission(uint64_t timeline, uint64_t value) const {
  SubmissionBuilder builder;
  builder.set_program(program_.id());
  for (uint32_t id = 0; id < buffers_.size(); ++id) {
    const SetupTensor& made = setup_.tensor(id);
    const bool constant = (made.tensor.flags & TSR_TENSOR_CONSTANT) != 0;
    if (made.contents.empty() || constant) continue;
    builder.add_binding({id, 0, buffers_[id].id(), offsets_[id]});
  }
  builder.add_signal({timeline, value});
  tsr_submission& head = builder.record();
  head.num_tokens = numbers_.num_tokens;
  head.num_seqs = numbers_.num_seqs;
  head.num_outputs = numbers_.num_outputs;
  head.max_q_len = numbers_.max_q_len;
  head.max_seq_len = numbers_.max_seq_len;
  head.num_decode_tokens = numbers_.num_decode_tokens;
  return builder;
}

Status OpRun::submit_and_wait(const tsr_submission& submission,
                              Timeline& timeline) {
  const Status submitted = queue_.submit(submission);
  TSR_RETURN_IF_ERROR(submitted);
  const Status waited = timeline.wait(1, kPatienceNs);
  if (waited.code() == TSR_DEADLINE_EXCEEDED) {
    return {TSR_DEADLINE_EXCEEDED, "the step does not end"};
  }
  if (waited.ok()) return {};
  return {waited.code(), "the step failed: " + waited.message()};
}

Status OpRun::step() {
  TSR_RETURN_IF_ERROR(upload());
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device_));
  SubmissionBuilder builder = submission(id, 1);
  if (setup_.edit_submission) {
    const tsr_submission& head = builder.record();
    const auto* bytes = reinterpret_cast<const std::byte*>(&head);
    const std::vector<std::byte> edited =
        setup_.edit_submission(std::span(bytes, head.record_bytes));
    TSR_RETURN_IF_ERROR(submit_and_wait(
        *reinterpret_cast<const tsr_submission*>(edited.data()), timeline));
  } else {
    TSR_RETURN_IF_ERROR(submit_and_wait(builder.record(), timeline));
  }
  return download();
}

Status OpRun::run_blocks(uint32_t kind, uint32_t pool, Buffer& buffer) {
  SubmissionBuilder builder(kind);
  const bool exports = kind == TSR_SUBMIT_KV_EXPORT;
  builder.record().src = exports ? pools_[pool].id() : buffer.id();
  builder.record().dst = exports ? buffer.id() : pools_[pool].id();
  const uint32_t blocks = setup_.kv_pools()[pool].num_blocks;
  for (uint32_t b = 0; b < blocks; ++b) builder.add_block({b, b});
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device_));
  builder.add_signal({id, 1});
  return submit_and_wait(builder.record(), timeline);
}

Status OpRun::write_pool(uint32_t pool, std::span<const std::byte> blocks) {
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       device_->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  TSR_ASSIGN_OR_RETURN(Buffer buffer,
                       device_->create_buffer(blocks.size(), kind));
  TSR_ASSIGN_OR_RETURN(void* mapped, buffer.map());
  std::copy(blocks.begin(), blocks.end(), static_cast<std::byte*>(mapped));
  TSR_RETURN_IF_ERROR(buffer.flush());
  return run_blocks(TSR_SUBMIT_KV_IMPORT, pool, buffer).annotate("kv import");
}

Result<std::vector<std::byte>> OpRun::read_pool(uint32_t pool) {
  const tsr_kv_desc& desc = setup_.kv_pools()[pool];
  TSR_ASSIGN_OR_RETURN(const format::KvBlockLayout layout,
                       format::kv_block_layout(desc));
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       device_->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  TSR_ASSIGN_OR_RETURN(
      Buffer buffer,
      device_->create_buffer(layout.bytes * desc.num_blocks, kind));
  TSR_RETURN_IF_ERROR(
      run_blocks(TSR_SUBMIT_KV_EXPORT, pool, buffer).annotate("kv export"));
  TSR_RETURN_IF_ERROR(buffer.invalidate());
  TSR_ASSIGN_OR_RETURN(void* mapped, buffer.map());
  const auto* memory = static_cast<const std::byte*>(mapped);
  return std::vector<std::byte>(memory, memory + buffer.bytes());
}

Status OpRun::check_values(const Expected& expected) const {
  const SetupTensor& made = setup_.tensor(expected.tensor);
  const std::vector<double> got =
      read_values(made.tensor, results_[expected.tensor], expected.rows);
  const size_t element = dtype_bytes(made.tensor.dtype, 1);
  for (size_t i = 0; i < got.size(); ++i) {
    const double want = expected.values[i];
    const size_t row = i / made.cols();
    const size_t col = i % made.cols();
    const size_t at = (row * made.stride() + col) * element;
    const std::byte* place = results_[expected.tensor].data() + at;
    const bool poisoned =
        std::all_of(place, place + element,
                    [](std::byte b) { return b == kPoison; }) &&
        made.contents[at] == kPoison && made.tensor.dtype != TSR_I32;
    const bool both_nan = std::isnan(want) && std::isnan(got[i]);
    if (both_nan && !poisoned) continue;
    const bool near = std::isfinite(want)
                          ? std::fabs(got[i] - want) <= expected.bounds[i]
                          : got[i] == want;
    if (near) continue;
    if (poisoned) {
      return {TSR_INTERNAL,
              fmt::format("{}[{}, {}] was not written", made.name, row, col)};
    }
    return {TSR_INTERNAL,
            fmt::format("{}[{}, {}] is {:.9g}, not {:.9g} +- {:.3g}", made.name,
                        row, col, got[i], want, expected.bounds[i])};
  }
  return {};
}

Status OpRun::check_untouched(std::span<const Expected> expected) const {
  for (uint32_t id = 0; id < results_.size(); ++id) {
    const SetupTensor& made = setup_.tensor(id);
    if (made.contents.empty() || made.in_pool) continue;
    const auto found =
        std::find_if(expected.begin(), expected.end(),
                     [&](const Expected& one) { return one.tensor == id; });
    const uint64_t rows = found == expected.end() ? 0 : found->rows;
    const size_t element = dtype_bytes(made.tensor.dtype, 1);
    for (size_t at = 0; at < made.contents.size(); ++at) {
      const uint64_t row = at / element / made.stride();
      const uint64_t col = at / element % made.stride();
      if (row < rows && col < made.cols()) continue;
      if (results_[id][at] == made.contents[at]) continue;
      const char* what = !made.is_output      ? "changed an input"
                         : col >= made.cols() ? "wrote between rows"
                                              : "wrote rows the step has not";
      return {TSR_INTERNAL, fmt::format("{}: tensor {}, row {}, column {}",
                                        what, made.name, row, col)};
    }
  }
  return {};
}

namespace {

// Off by one code, or by 8 units in the last place of a float.
bool near_codes(uint32_t dtype, const std::byte* x, const std::byte* y,
                uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const double a = format::element_value(dtype, x, i);
    const double b = format::element_value(dtype, y, i);
    const double bound =
        dtype == TSR_I8 ? 1.0 : reference::float_bound(b, dtype, 1.0);
    if (!(std::fabs(a - b) <= bound)) return false;
  }
  return true;
}

Status check_pool(const tsr_kv_desc& desc, std::vector<std::byte> got,
                  std::vector<std::byte> want, bool exact) {
  TSR_ASSIGN_OR_RETURN(const reference::KvPool a,
                       reference::KvPool::open(desc, got));
  TSR_ASSIGN_OR_RETURN(const reference::KvPool b,
                       reference::KvPool::open(desc, want));
  const bool has_scales = desc.format == TSR_KV_I8_TOKEN;
  const size_t row_bytes = dtype_bytes(a.code_dtype(), desc.head_dim);
  for (uint64_t slot = 0; slot < a.num_slots(); ++slot) {
    for (uint32_t head = 0; head < desc.num_kv_heads; ++head) {
      for (const auto part :
           {reference::KvPart::kKey, reference::KvPart::kValue}) {
        const std::byte* x = a.codes(part, slot, head);
        const std::byte* y = b.codes(part, slot, head);
        bool same = std::equal(x, x + row_bytes, y);
        if (has_scales) {
          const std::byte* s = a.token_scale(part, slot, head);
          same = same && std::equal(s, s + 4, b.token_scale(part, slot, head));
        }
        if (same ||
            (!exact && near_codes(a.code_dtype(), x, y, desc.head_dim))) {
          continue;
        }
        return {
            TSR_INTERNAL,
            fmt::format("{} of block {}, offset {}, head {} is wrong",
                        part == reference::KvPart::kKey ? "K" : "V",
                        slot / desc.block_size, slot % desc.block_size, head)};
      }
    }
  }
  return {};
}

Status check_trial(OpRun& run, const OpTrial& trial) {
  TSR_RETURN_IF_ERROR(run.check_untouched(trial.expected));
  for (const Expected& one : trial.expected) {
    TSR_RETURN_IF_ERROR(run.check_values(one));
  }
  for (uint32_t i = 0; i < trial.pools_after.size(); ++i) {
    TSR_ASSIGN_OR_RETURN(std::vector<std::byte> blocks, run.read_pool(i));
    TSR_RETURN_IF_ERROR(check_pool(trial.setup.kv_pools()[i], std::move(blocks),
                                   trial.pools_after[i], trial.exact_pools));
  }
  return {};
}

Status run_step(OpRun& run, const OpTrial& trial) {
  for (uint32_t i = 0; i < trial.pools.size(); ++i) {
    TSR_RETURN_IF_ERROR(run.write_pool(i, trial.pools[i]));
  }
  return run.step();
}

}  // namespace

Status run_and_check(const std::shared_ptr<Device>& device,
                     const OpTrial& trial, bool repeats) {
  for (const Memory memory : {Memory::kGuarded, Memory::kCreated}) {
    TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                         OpRun::prepare(device, trial.setup, memory));
    TSR_RETURN_IF_ERROR(run_step(*run, trial));
    TSR_RETURN_IF_ERROR(check_trial(*run, trial));
    if (memory == Memory::kCreated || !repeats) continue;
    std::vector<std::vector<std::byte>> first;
    for (const Expected& one : trial.expected) {
      const auto bytes = run->result(one.tensor);
      first.emplace_back(bytes.begin(), bytes.end());
    }
    TSR_RETURN_IF_ERROR(run_step(*run, trial));
    for (size_t i = 0; i < trial.expected.size(); ++i) {
      const auto again = run->result(trial.expected[i].tensor);
      if (std::equal(again.begin(), again.end(), first[i].begin())) continue;
      return {TSR_INTERNAL,
              "a second run gave other bits, against its determinism class"};
    }
  }
  return {};
}

}  // namespace tessera::conformance
