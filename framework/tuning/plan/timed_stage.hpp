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
#include "framework/runtime/stages/stage_set.hpp"
#include "framework/tuning/plan/time_spread.hpp"

namespace tessera {

// A step by the steady clock, and by the device's records.
Result<double> time_by_clock(Stage& stage, const StepSize& size);
Result<std::vector<tsr_kernel_record>> record_on_device(Stage& stage,
                                                        const StepSize& size);

// A step through all stages by the steady clock: what each took from the end of
// the one before.
Result<std::vector<double>> time_stages(const StageSet& stages,
                                        const StepSize& size);

// Writes a step of that shape to the arena of a stage, where a session would.
StepSize write_step(Stage& stage, uint32_t max_blocks_per_seq,
                    const tsr_step_shape& shape);

// Runs of a round at most, and no more once they took so long.
inline constexpr uint32_t kMostRunsOfRound = 8;
inline constexpr double kEnoughNsOfRound = 4e6;

// Of runs that take so long, no more rounds have a recorded run.
inline constexpr double kLongRunNs = 4e7;
inline constexpr size_t kRecordedRounds = 2;

// Watches the machine from now on: whether other processes take more of it than
// keeping a system alive does.  Where the kernel does not tell, they do.
std::function<bool()> watch_others();

// Runs a step of a stage and says what it took.
struct RunTimer {
  std::function<Result<double>(Stage&, const StepSize&)> time = time_by_clock;
  // Of a stage that has the first ops of the one that was timed last.
  std::function<Result<double>(Stage&, const StepSize&)> front = time_by_clock;
  // Of a stage that records.
  std::function<Result<std::vector<tsr_kernel_record>>(Stage&, const StepSize&)>
      record = record_on_device;
  std::function<Result<std::vector<double>>(const StageSet&, const StepSize&)>
      step = time_stages;
  std::function<std::function<bool()>()> watch = watch_others;
};

// A range of ops on a device as a session would run it, and once more with
// records of its kernels; what they hold is there once.
class TimedStage {
 public:
  // front_ops  of the range: so many at its beginning are a program of their
  //            own too; 0: none are
  // Errors     those of Stage::create()
  static Result<TimedStage> create(const StageInputs& inputs,
                                   const OpRange& range,
                                   const std::shared_ptr<Device>& device,
                                   RunTimer timer, uint32_t front_ops = 0);

  // Writes a step of that shape for all, with random values in the inputs.
  void prepare(const tsr_step_shape& shape, uint32_t max_blocks_per_seq);

  // Time of one run, unrecorded.
  Result<double> time_run() { return timer_.time(*plain_, size_); }
  // Of the first ops alone.
  //
  // Requires  front_ops above 0
  Result<double> time_front() { return timer_.front(*front_, size_); }
  // One run's records.
  Result<std::vector<tsr_kernel_record>> record_run() {
    return timer_.record(*recorded_, size_);
  }

  Stage& stage() const { return *plain_; }

 private:
  std::unique_ptr<Stage> plain_;
  std::unique_ptr<Stage> recorded_;
  std::unique_ptr<Stage> front_;
  RunTimer timer_;
  StepSize size_;
};

// What ops take in place.
struct OpTimes {
  std::vector<double> ns;            // by op of the range
  std::vector<std::string> kernels;  // by op
  TimeSpread spread;                 // of a whole run
};

// Rounds of runs of one step, which may be far apart.
class OpRounds {
 public:
  // op_sizes   by op, for kernels that cover several: 0 takes no share beside
  //            others
  // front_ops  as the stage has
  OpRounds(std::vector<double> op_sizes, uint32_t front_ops);

  // A recorded run, unless there were enough of them, then some that are timed,
  // each behind a whole one: caches hold then what a step leaves in them for
  // the next, not what the same few layers left.
  //
  // Requires  stage.prepare() for the step
  Status add_round(TimedStage& stage);

  bool was_busy() const { return is_busy(quiet_time(walls_).spread); }

  // Of whole runs, by round.
  const std::vector<double>& walls() const { return walls_; }

  // Records say how a run's time is shared out.  Together the first ops take
  // what they take by themselves beyond `stage_ns`, and all others what the run
  // takes beyond that: so what lies between kernels stays with those ops
  // between which it lies, each kernel alike.
  //
  // rounds  that count, at least one
  OpTimes times(double stage_ns, const std::vector<size_t>& rounds) const;

 private:
  Status add_records(TimedStage& stage);
  Status add_walls(TimedStage& stage, bool is_behind_whole);
  void share_wall(double ns, size_t begin, size_t end, OpTimes& times) const;

  std::vector<double> op_sizes_;
  uint32_t front_ops_ = 0;
  std::vector<std::vector<double>> ns_;  // by op, then recorded round
  std::vector<double> launches_;         // by op: kernels begun, last round
  std::vector<std::string> kernels_;     // by op
  std::vector<double> walls_;            // medians of the runs of a round
  std::vector<double> fronts_;           // likewise
};

double median_of(std::vector<double> values);

}  // namespace tessera
