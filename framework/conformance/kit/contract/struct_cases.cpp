// SPDX-License-Identifier: Apache-2.0
//
// Level 0, growth: structs and records of an older and of a newer host, and
// extensions that nobody knows, with an op that the plugin claims.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/contract/out_struct.hpp"
#include "framework/conformance/kit/trial/record_growth.hpp"
#include "framework/conformance/kit/trial/weight_descs.hpp"

namespace tessera::conformance {
namespace {

Status wrong(const std::string& message) { return {TSR_INTERNAL, message}; }

// ---- What the plugin fills in

Status out_structs(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  const tsr_api& api = device->api();
  ErrorSlot error;
  std::vector<std::byte> record = run->record();
  auto* program = reinterpret_cast<tsr_program_desc*>(record.data());
  TSR_RETURN_IF_ERROR(with_out_sizes<tsr_program_info>(
      "tsr_program_info", offsetof(tsr_program_info, workspace_bytes),
      [&](tsr_program_info* out) {
        program->id = next_host_id();
        const tsr_status code =
            api.program_create(device->handle(), program, &error, out);
        if (code == TSR_OK) api.program_destroy(device->handle(), program->id);
        return code;
      }));
  TSR_RETURN_IF_ERROR(with_out_sizes<tsr_segment>(
      "tsr_segment", offsetof(tsr_segment, kernel), [&](tsr_segment* out) {
        return api.program_segment(device->handle(), run->program_id(), 0,
                                   &error, out);
      }));
  const WeightDescs weights(trial.setup.weights());
  for (const tsr_weight_desc& desc : weights.all()) {
    TSR_RETURN_IF_ERROR(with_out_sizes<tsr_packed_info>(
        "tsr_packed_info", offsetof(tsr_packed_info, keeps_raw),
        [&](tsr_packed_info* out) {
          return api.weight_query(device->handle(), &desc, &error, out);
        }));
  }
  for (const tsr_kv_desc& desc : trial.setup.kv_pools()) {
    TSR_RETURN_IF_ERROR(with_out_sizes<tsr_kv_info>(
        "tsr_kv_info", offsetof(tsr_kv_info, alignment), [&](tsr_kv_info* out) {
          return api.kv_query(device->handle(), &desc, &error, out);
        }));
  }
  return with_out_sizes<tsr_error>(
      "tsr_error of device_last_error", offsetof(tsr_error, message),
      [&](tsr_error* out) {
        return api.device_last_error(device->handle(), out);
      });
}

Status out_estimate(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  const WeightDescs weights(trial.setup.weights());
  const std::vector<std::byte> record = trial.setup.question();
  const auto* program =
      reinterpret_cast<const tsr_program_desc*>(record.data());
  const tsr_array weight_array{weights.all().data(),
                               static_cast<uint32_t>(weights.all().size()),
                               sizeof(tsr_weight_desc)};
  const tsr_array pool_array{
      trial.setup.kv_pools().data(),
      static_cast<uint32_t>(trial.setup.kv_pools().size()),
      sizeof(tsr_kv_desc)};
  tsr_step_shape shape{};
  shape.struct_size = sizeof(shape);
  shape.num_tokens = shape.num_seqs = shape.num_outputs = shape.seq_len = 1;
  shape.phase = TSR_DECODE;
  return with_out_sizes<tsr_estimate>(
      "tsr_estimate", offsetof(tsr_estimate, workspace_bytes),
      [&](tsr_estimate* out) {
        ErrorSlot error;
        return device->api().estimate(device->handle(), program, &weight_array,
                                      &pool_array, &shape, &error, out);
      });
}

// Refusals lie `stride` bytes apart, whatever the plugin thinks they are long.
Status refusals_of_stride(CaseContext& context, const OpTrial& trial,
                          uint32_t stride) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  std::vector<std::byte> record = trial.setup.question();
  auto* program = reinterpret_cast<tsr_program_desc*>(record.data());
  // An op of a kind that does not exist.
  tsr_op op{};
  std::memcpy(&op, &record[program->ops.offset], sizeof(op));
  op.kind = 0x7ffe;
  std::memcpy(&record[program->ops.offset], &op, sizeof(op));
  constexpr uint32_t kCapacity = 2;
  TSR_ASSIGN_OR_RETURN(
      GuardedMemory memory,
      GuardedMemory::create(uint64_t{kCapacity} * stride, alignof(tsr_refusal),
                            "out tsr_refusal"));
  std::fill_n(memory.data(), memory.bytes(), kJunk);
  const WeightDescs weights(trial.setup.weights());
  const tsr_array weight_array{weights.all().data(),
                               static_cast<uint32_t>(weights.all().size()),
                               sizeof(tsr_weight_desc)};
  const tsr_array pool_array{
      trial.setup.kv_pools().data(),
      static_cast<uint32_t>(trial.setup.kv_pools().size()),
      sizeof(tsr_kv_desc)};
  ErrorSlot error;
  uint32_t count = 0;
  const tsr_status code = device->api().check(
      device->handle(), program, &weight_array, &pool_array, &error,
      reinterpret_cast<tsr_refusal*>(memory.data()), kCapacity, stride, &count);
  TSR_RETURN_IF_ERROR(memory.check());
  if (code != TSR_UNIMPLEMENTED || count != 1) {
    return wrong(fmt::format("an op of kind {:#x}: {}, {} refusals", op.kind,
                             status_name(code), count));
  }
  if (memory.data()[stride] != kJunk) {
    return wrong(fmt::format("wrote past refusal 0 of {} bytes", stride));
  }
  return {};
}

Status out_refusals(CaseContext& context, const OpTrial& trial) {
  constexpr uint32_t kWhole = sizeof(tsr_refusal);
  for (const uint32_t stride :
       {static_cast<uint32_t>(offsetof(tsr_refusal, message)), kWhole,
        kWhole + kJunkBytes}) {
    TSR_RETURN_IF_ERROR(refusals_of_stride(context, trial, stride));
  }
  return {};
}

// ---- What the host fills in

// The trial's results must come out whatever the records look like.
Status run_grown(CaseContext& context, OpTrial trial, const char* what,
                 const RecordGrowth& growth) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  const Status plain = run_and_check(device, trial, false);
  if (!plain.ok()) {
    return {TSR_UNAVAILABLE, "fails with today's records: " + plain.message()};
  }
  trial.setup.edit_program = [growth](std::span<const std::byte> record) {
    return grown_program(record, growth);
  };
  trial.setup.edit_submission = [growth](std::span<const std::byte> record) {
    return grown_submission(record, growth);
  };
  return run_and_check(device, trial, false).annotate(what);
}

Status older_records(CaseContext& context, const OpTrial& trial) {
  RecordGrowth growth;
  growth.shortened = true;
  return run_grown(context, trial, "records without their last field", growth);
}

Status newer_records(CaseContext& context, const OpTrial& trial) {
  RecordGrowth heads;
  heads.head = kJunkBytes;
  TSR_RETURN_IF_ERROR(
      run_grown(context, trial, "heads with fields of a later version", heads));
  RecordGrowth elements;
  elements.elements = 16;
  TSR_RETURN_IF_ERROR(run_grown(
      context, trial, "elements with fields of a later version", elements));
  RecordGrowth ops;
  ops.ops = 8;
  return run_grown(context, trial, "ops with fields of a later version", ops);
}

// One field short, and longer with junk.
template <typename Struct, typename Ask>
Status with_in_sizes(const char* name, const Struct& desc, uint32_t last_field,
                     const Ask& ask) {
  for (const uint32_t bytes :
       {last_field, static_cast<uint32_t>(sizeof(Struct)) + kJunkBytes}) {
    TSR_ASSIGN_OR_RETURN(GuardedMemory memory,
                         GuardedMemory::create(bytes, 8, name));
    std::fill_n(memory.data(), bytes, kJunk);
    std::memcpy(memory.data(), &desc, std::min<size_t>(bytes, sizeof(desc)));
    std::memcpy(memory.data(), &bytes, sizeof(bytes));
    const tsr_status code = ask(reinterpret_cast<const Struct*>(memory.data()));
    if (code != TSR_OK) {
      return wrong(fmt::format("{} of {} bytes, not {}: {}", name, bytes,
                               sizeof(Struct), status_name(code)));
    }
  }
  return {};
}

Status in_structs(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  const tsr_api& api = device->api();
  const WeightDescs weights(trial.setup.weights());
  ErrorSlot error;
  for (const tsr_weight_desc& desc : weights.all()) {
    TSR_RETURN_IF_ERROR(with_in_sizes(
        "tsr_weight_desc", desc, offsetof(tsr_weight_desc, next),
        [&](const tsr_weight_desc* in) {
          tsr_packed_info info{};
          info.struct_size = sizeof(info);
          return api.weight_query(device->handle(), in, &error, &info);
        }));
  }
  for (const tsr_kv_desc& desc : trial.setup.kv_pools()) {
    TSR_RETURN_IF_ERROR(with_in_sizes(
        "tsr_kv_desc", desc, offsetof(tsr_kv_desc, next),
        [&](const tsr_kv_desc* in) {
          tsr_kv_info info{};
          info.struct_size = sizeof(info);
          return api.kv_query(device->handle(), in, &error, &info);
        }));
  }
  return {};
}

// ---- Extensions

Status ignores(CaseContext& context, const OpTrial& trial) {
  RecordGrowth growth;
  growth.extension = true;
  TSR_RETURN_IF_ERROR(
      run_grown(context, trial, "an extension that may be ignored", growth));
  growth.extension = false;
  growth.op_extension = true;
  return run_grown(context, trial, "an op's extension that may be ignored",
                   growth);
}

Status refuse_must_understand(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  const Status plain = run_and_check(device, trial, false);
  if (!plain.ok()) {
    return {TSR_UNAVAILABLE, "fails with today's records: " + plain.message()};
  }
  for (const bool of_op : {false, true}) {
    RecordGrowth growth;
    growth.extension = !of_op;
    growth.op_extension = of_op;
    growth.extension_flags = TSR_MUST_UNDERSTAND;
    OpTrial changed = trial;
    changed.setup.edit_program = [growth](std::span<const std::byte> record) {
      return grown_program(record, growth);
    };
    const char* what = of_op ? "an op" : "a program";
    const WeightDescs weights(changed.setup.weights());
    const auto refusals = device->check(changed.setup.question(), weights.all(),
                                        changed.setup.kv_pools());
    if (refusals.ok() && refusals->empty()) {
      return wrong(fmt::format(
          "check accepts {} with an extension that it must understand", what));
    }
  }
  // The program without, its step with one.
  OpTrial changed = trial;
  RecordGrowth growth;
  growth.extension = true;
  growth.extension_flags = TSR_MUST_UNDERSTAND;
  changed.setup.edit_submission = [growth](std::span<const std::byte> record) {
    return grown_submission(record, growth);
  };
  if (run_and_check(device, changed, false).ok()) {
    return wrong("runs a step with an extension that it must understand");
  }
  return {};
}

}  // namespace

void add_struct_cases(const CaseOptions& /*options*/, CaseList& cases) {
  const std::vector<NamedTrial> trials = one_trial_of_each_kind(cases);
  const auto add = [&](const char* id, const TrialBody& body) {
    add_trial_cases(std::string("L0/") + id, 10.0, trials, body, cases);
  };
  add("struct_sizes/out", out_structs);
  add("struct_sizes/estimate", out_estimate);
  add("struct_sizes/refusals", out_refusals);
  add("struct_sizes/in", in_structs);
  add("records/older", older_records);
  add("records/newer", newer_records);
  add("extensions/ignored", ignores);
  add("extensions/must_understand", refuse_must_understand);
}

}  // namespace tessera::conformance
