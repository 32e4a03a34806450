// SPDX-License-Identifier: Apache-2.0
//
// Level 2: calls whose arguments are wrong on every device, and transactions
// that are given up or ended too early.

#include <fmt/format.h>

#include <thread>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/trial/weight_descs.hpp"
#include "framework/host/device/plugin_error.hpp"
#include "framework/host/device/weight_loader.hpp"

namespace tessera::conformance {
namespace {

constexpr uint64_t kNoSuchId = UINT64_MAX - 7;

Status wrong(const std::string& message) { return {TSR_INTERNAL, message}; }

Status expect_failure(const char* what, tsr_status code) {
  if (code != TSR_OK) return {};
  return wrong(std::string("accepts ") + what);
}

// ---- Ids that name nothing, or something already

Status ids_that_name_nothing(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  const tsr_api& api = device->api();
  tsr_device* handle = device->handle();
  ErrorSlot error;
  void* memory = nullptr;
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  TSR_RETURN_IF_ERROR(
      expect_failure("a map of a buffer that is not there",
                     api.buffer_map(handle, kNoSuchId, &error, &memory)));
  TSR_RETURN_IF_ERROR(expect_failure(
      "a segment of a program that is not there",
      api.program_segment(handle, kNoSuchId, 0, &error, &segment)));
  // Nothing is there, so nothing happens.
  api.buffer_destroy(handle, kNoSuchId);
  api.weight_destroy(handle, kNoSuchId);
  api.kv_destroy(handle, kNoSuchId);
  api.program_destroy(handle, kNoSuchId);
  api.timeline_forget(handle, kNoSuchId);
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  return expect_failure(
      "a segment past the last",
      api.program_segment(handle, run->program_id(), 1000, &error, &segment));
}

Status ids_that_are_taken(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  std::vector<std::byte> record = run->record();
  auto* program = reinterpret_cast<tsr_program_desc*>(record.data());
  program->id = run->program_id();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  ErrorSlot error;
  TSR_RETURN_IF_ERROR(expect_failure(
      "two programs of one id",
      device->api().program_create(device->handle(), program, &error, &info)));
  TSR_RETURN_IF_ERROR(run->step().annotate("after a second program of its id"));
  return context.allocator().check();
}

// ---- Buffers that cannot be

Status impossible_buffers(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  const tsr_api& api = device->api();
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  tsr_buffer_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.memory_kind = kind;
  ErrorSlot error;
  for (const uint64_t bytes : {UINT64_MAX, UINT64_MAX - 4095, UINT64_MAX / 2}) {
    desc.id = next_host_id();
    desc.bytes = bytes;
    const tsr_status code = api.buffer_create(device->handle(), &desc, &error);
    TSR_RETURN_IF_ERROR(expect_failure("a buffer of 2^63 bytes", code));
    if (device->is_lost()) return wrong("is lost after a buffer too large");
  }
  // What no process has, but an allocator may promise: it must not crash.
  desc.id = next_host_id();
  desc.bytes = uint64_t{1} << 46;
  if (api.buffer_create(device->handle(), &desc, &error) == TSR_OK) {
    api.buffer_destroy(device->handle(), desc.id);
  }
  desc.id = next_host_id();
  desc.bytes = 64;
  desc.memory_kind = 1000;
  const tsr_status code = api.buffer_create(device->handle(), &desc, &error);
  if (code == TSR_OK) api.buffer_destroy(device->handle(), desc.id);
  return run_and_check(device, trial, false).annotate("afterwards");
}

// ---- Packing

// A weight, its description and what packing it takes.
struct PackedTrial {
  std::shared_ptr<Device> device;
  Buffer buffer;
  tsr_packed_info info{};
};

Result<PackedTrial> begin_packing(CaseContext& context,
                                  const tsr_weight_desc& desc) {
  PackedTrial made;
  TSR_ASSIGN_OR_RETURN(made.device, context.open_device());
  TSR_ASSIGN_OR_RETURN(made.info, made.device->query_weight(desc));
  if (made.info.bytes == 0) {
    return Status(TSR_UNAVAILABLE, "reads weights in place");
  }
  TSR_ASSIGN_OR_RETURN(
      made.buffer,
      made.device->create_buffer(made.info.bytes, made.info.memory_kind));
  return made;
}

Status check_no_weight(const PackedTrial& packed, const OpTrial& trial,
                       uint64_t id, const char* what) {
  const std::vector<std::byte> program = trial.setup.record({{id}}, {}, {});
  if (!packed.device->create_program(program).ok()) return {};
  return wrong(fmt::format("a weight whose packing was {} exists", what));
}

Status cancel_packing(CaseContext& context, const OpTrial& trial) {
  if (trial.setup.weights().empty()) {
    return {TSR_UNAVAILABLE, "has no weights"};
  }
  const format::WeightView view = trial.setup.weights().front().view();
  const tsr_weight_desc desc = view.desc();
  TSR_ASSIGN_OR_RETURN(const PackedTrial packed, begin_packing(context, desc));
  const tsr_api& api = packed.device->api();
  const size_t live = context.allocator().num_live();
  for (int round = 0; round < 20; ++round) {
    tsr_packing* packing = nullptr;
    ErrorSlot error;
    const uint64_t id = next_host_id();
    tsr_status code =
        api.packing_begin(packed.device->handle(), id, &desc,
                          packed.buffer.id(), 0, &error, &packing);
    if (code != TSR_OK) return plugin_status(code, error, "packing_begin");
    code = api.packing_end(packing, 0, &error);
    if (code != TSR_OK) return plugin_status(code, error, "packing_end");
    TSR_RETURN_IF_ERROR(check_no_weight(packed, trial, id, "cancelled"));
  }
  if (context.allocator().num_live() > live) {
    return wrong("a cancelled packing leaks");
  }
  return run_and_check(packed.device, trial, false)
      .annotate("after a cancelled packing");
}

// A weight of which rows are missing must not come to be.
Status commit_without_rows(CaseContext& context, const OpTrial& trial) {
  if (trial.setup.weights().empty()) {
    return {TSR_UNAVAILABLE, "has no weights"};
  }
  const format::WeightView view = trial.setup.weights().front().view();
  const tsr_weight_desc desc = view.desc();
  TSR_ASSIGN_OR_RETURN(const PackedTrial packed, begin_packing(context, desc));
  const tsr_api& api = packed.device->api();
  tsr_packing* packing = nullptr;
  ErrorSlot error;
  const uint64_t id = next_host_id();
  const tsr_status code =
      api.packing_begin(packed.device->handle(), id, &desc, packed.buffer.id(),
                        0, &error, &packing);
  if (code != TSR_OK) return plugin_status(code, error, "packing_begin");
  TSR_RETURN_IF_ERROR(expect_failure("a weight without its rows",
                                     api.packing_end(packing, 1, &error)));
  return check_no_weight(packed, trial, id, "incomplete");
}

// ---- A device that the host gives up

// What the host does when the watchdog fires: it fails what is waited for,
// destroys everything, and opens the device again.
Status give_up_and_reopen(CaseContext& context, const OpTrial& trial) {
  for (int round = 0; round < 3; ++round) {
    TSR_ASSIGN_OR_RETURN(std::shared_ptr<Device> device, context.open_device());
    TSR_ASSIGN_OR_RETURN(std::unique_ptr<OpRun> run,
                         OpRun::prepare(device, trial.setup, Memory::kCreated));
    TSR_RETURN_IF_ERROR(run->upload());
    Timeline gate;
    Timeline done;
    TSR_ASSIGN_OR_RETURN(const uint64_t gate_id, gate.import_into(device));
    TSR_ASSIGN_OR_RETURN(const uint64_t done_id, done.import_into(device));
    TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
    Status submitted;
    std::thread submitter([&] {
      SubmissionBuilder work = run->submission(done_id, 1);
      work.add_wait({gate_id, 1});
      submitted = queue.submit(work.record());
    });
    gate.fail(TSR_DEADLINE_EXCEEDED);
    const Status waited = done.wait(1, kPatienceNs);
    if (done.value() == 0) {
      submitter.detach();  // this process ends with the case
      return {TSR_DEADLINE_EXCEEDED, "a wait that failed never ends"};
    }
    submitter.join();
    if (submitted.ok() && waited.ok()) {
      return wrong("runs although what it waits for was given up");
    }
  }
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> again,
                       context.open_device());
  TSR_RETURN_IF_ERROR(
      run_and_check(again, trial, false).annotate("opened again"));
  return context.allocator().check();
}

}  // namespace

void add_argument_cases(const CaseOptions& /*options*/, CaseList& cases) {
  const std::vector<NamedTrial> trials = one_trial_of_each_kind(cases);
  const auto add = [&](const char* id, const TrialBody& body) {
    add_trial_cases(std::string("L2/") + id, 30.0, trials, body, cases);
  };
  add("arguments/unknown_ids", ids_that_name_nothing);
  add("arguments/taken_ids", ids_that_are_taken);
  add("arguments/buffers", impossible_buffers);
  add("cancel_packing", cancel_packing);
  add("commit_without_rows", commit_without_rows);
  add("given_up", give_up_and_reopen);
}

}  // namespace tessera::conformance
