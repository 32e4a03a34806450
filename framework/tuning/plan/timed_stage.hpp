// SPDX-License-Identifier: Apache-2.0
//
// Runs stages by themselves and says what they take.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/runtime/stage.hpp"

namespace tessera {

// A range of ops on a device as a session would run it, and once more with
// records of its kernels; what they hold is there once.
class TimedStage {
 public:
  // Errors: those of Stage::create().
  static Result<TimedStage> create(const StageInputs& inputs,
                                   const OpRange& range,
                                   const std::shared_ptr<Device>& device);

  // Writes a step of that shape for both, with random values in the inputs.
  void prepare(const tsr_step_shape& shape, uint32_t max_blocks_per_seq);

  // One run, unrecorded.
  Status run() { return plain_->run(size_); }
  // Time of one run, unrecorded.
  Result<double> time_run();
  // One run's records.
  Result<std::vector<tsr_kernel_record>> record_run();

  Stage& stage() const { return *plain_; }

 private:
  std::unique_ptr<Stage> plain_;
  std::unique_ptr<Stage> recorded_;
  StepSize size_;
};

// What ops take in place.
struct OpTimes {
  std::vector<double> ns;            // by op of the range
  std::vector<std::string> kernels;  // by op
  double wall_ns = 0.0;              // of a whole run
};

// Medians of `repeats` runs after one that warms up.  Records say how a run's
// time is shared out; together the ops take what the run takes beyond
// `stage_ns`, so that what lies between kernels is in them.
//
// size_of  of an op, for kernels that cover several: 0 takes no share beside
//          others
Result<OpTimes> time_ops(TimedStage& stage, size_t num_ops, uint32_t repeats,
                         double stage_ns,
                         const std::function<double(size_t)>& size_of);

double median_of(std::vector<double> values);

}  // namespace tessera
