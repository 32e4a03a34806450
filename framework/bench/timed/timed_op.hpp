// SPDX-License-Identifier: Apache-2.0
//
// One op on one device, ready to be run again and again.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/limits/peak_loops.hpp"
#include "framework/bench/timed/submitter.hpp"
#include "framework/format/weight.hpp"

namespace tessera::bench {

// What one run of the op has to move and to compute, without any padding.
struct OpCost {
  uint64_t bytes = 0;
  uint64_t operations = 0;
  Compute compute = Compute::kF32;  // what the operations are products of
};

// On the device's own clock.
struct DeviceTime {
  double ns = 0.0;         // of one op
  uint64_t energy_nj = 0;  // likewise; 0 if unknown
};

// Submissions with everything they name, taken in turn.  One thread at a time.
struct TimedOp {
  explicit TimedOp(Submitter& owner) : submitter(owner) {}

  // Runs the next submission and waits.
  Status run();
  // The same; tells the device's own time of one op.
  //
  // Errors  UNIMPLEMENTED if the device keeps no records
  Result<DeviceTime> run_profiled();

  Submitter& submitter;
  std::vector<SubmissionBuilder> submissions;
  size_t turn = 0;
  uint32_t copies = 1;         // of the op in one submission
  uint64_t rotated_bytes = 0;  // of what all submissions read
  OpCost cost;                 // of one op
  std::string kernel;
  // What the last run wrote is what the reference says.
  //
  // Errors  DATA_LOSS, naming the element
  std::function<Status()> check;

  // Later members are destroyed first.
  std::vector<std::unique_ptr<format::WeightData>> kept;
  std::vector<Buffer> buffers;
  std::vector<Weight> weights;
  std::vector<KvPool> pools;
  std::vector<Program> programs;
};

// Adds a submission of the program that `record` describes, a step of that
// shape.
Status add_submission(std::vector<std::byte> record, const tsr_step_shape& step,
                      uint32_t max_q_len, TimedOp& op);

// Which row of a device's table is meant.
struct KernelQuery {
  uint32_t op = 0;
  uint32_t dtype = 0;          // of its inputs
  uint32_t weight_format = 0;  // linear
  uint32_t act_quant = 0;
  uint32_t kv_format = 0;  // attention
};

bool has_kernel(const Device& device, const KernelQuery& query);
// TSR_ERROR_* of the first row that matches; DOT if none does.
uint32_t error_class_of(const Device& device, const KernelQuery& query);

// What is multiplied where a linear's activations are read so; `dtype` is
// theirs.
Compute compute_of(uint32_t act_quant, uint32_t dtype);

}  // namespace tessera::bench
