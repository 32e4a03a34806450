// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/timed/timed_op.hpp"

#include <utility>

namespace tessera::bench {

Status TimedOp::run() {
  SubmissionBuilder& next = submissions[turn];
  turn = (turn + 1) % submissions.size();
  return submitter.run(next);
}

Result<DeviceTime> TimedOp::run_profiled() {
  uint32_t& flags = submissions[turn].record().flags;
  flags |= uint32_t{TSR_SUBMIT_PROFILE};
  const Status status = run();
  flags &= ~uint32_t{TSR_SUBMIT_PROFILE};
  TSR_RETURN_IF_ERROR(status);
  TSR_ASSIGN_OR_RETURN(const std::vector<tsr_kernel_record> records,
                       submitter.device().profile_read());
  if (records.empty()) {
    return Status(TSR_UNIMPLEMENTED,
                  submitter.device().name() + ": no record of a kernel");
  }
  DeviceTime time;
  uint64_t energy_nj = 0;
  for (const tsr_kernel_record& record : records) {
    time.ns += static_cast<double>(record.end_ns - record.begin_ns);
    energy_nj += record.energy_nj;
  }
  time.ns /= copies;
  time.energy_nj = energy_nj / copies;
  return time;
}

Status add_submission(std::vector<std::byte> record, const tsr_step_shape& step,
                      uint32_t max_q_len, TimedOp& op) {
  Device& device = op.submitter.device();
  TSR_ASSIGN_OR_RETURN(Program program,
                       device.create_program(std::move(record)));
  TSR_ASSIGN_OR_RETURN(const std::vector<tsr_segment> segments,
                       program.segments());
  if (!segments.empty()) op.kernel = segments.front().kernel;
  SubmissionBuilder submission(TSR_SUBMIT_PROGRAM);
  submission.set_program(program.id());
  op.submitter.prepare(submission);
  tsr_submission& head = submission.record();
  head.num_tokens = step.num_tokens;
  head.num_seqs = step.num_seqs;
  head.num_outputs = step.num_outputs;
  head.max_q_len = max_q_len;
  head.max_seq_len = step.seq_len;
  head.num_decode_tokens = step.phase == TSR_DECODE ? step.num_tokens : 0;
  op.submissions.push_back(std::move(submission));
  op.programs.push_back(std::move(program));
  return {};
}

namespace {

const tsr_kernel_desc* find_kernel(const Device& device,
                                   const KernelQuery& query) {
  const auto has = [](uint32_t mask, uint32_t value) {
    return (mask >> value & 1U) != 0;
  };
  for (const tsr_kernel_desc& row : device.kernels()) {
    if (row.op != query.op || !has(row.x_dtypes, query.dtype)) continue;
    if (query.op == TSR_OP_LINEAR &&
        (row.weight_format != query.weight_format ||
         !has(row.act_quants, query.act_quant))) {
      continue;
    }
    if (query.op == TSR_OP_ATTENTION && !has(row.kv_formats, query.kv_format)) {
      continue;
    }
    return &row;
  }
  return nullptr;
}

}  // namespace

bool has_kernel(const Device& device, const KernelQuery& query) {
  return find_kernel(device, query) != nullptr;
}

uint32_t error_class_of(const Device& device, const KernelQuery& query) {
  const tsr_kernel_desc* row = find_kernel(device, query);
  return row == nullptr ? uint32_t{TSR_ERROR_DOT} : row->error_class;
}

Compute compute_of(uint32_t act_quant, uint32_t dtype) {
  switch (act_quant) {
    case TSR_ACT_FLOAT:
      return dtype == TSR_BF16 ? Compute::kBf16 : Compute::kF32;
    case TSR_ACT_F8_DYNAMIC:
      return Compute::kBf16;  // which holds every E4M3
    default:
      return Compute::kInt8;
  }
}

}  // namespace tessera::bench
