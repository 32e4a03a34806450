// SPDX-License-Identifier: Apache-2.0
//
// Fills the planner's problem from a model and the devices of this machine.

#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/assignment.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/tuning/plan/cost_probe.hpp"

namespace tessera {

struct ProblemInputs {
  const Graph& graph;
  const WeightSource& source;
  std::vector<std::shared_ptr<Device>> devices;  // at least one
  std::vector<Scheme> schemes;                   // at least one
  ProbeOptions probe;
  // Called with a share from 0 to 1.
  std::function<void(double)> on_progress;
};

// A device whose kept times hold no more.
struct CostDrift {
  std::string device;
  std::array<double, 2> ratio{1.0, 1.0};  // now to what was kept, by phase
  uint32_t num_kept = 0;                  // kinds of segment in a scheme
  uint32_t num_left = 0;  // that were not timed anew, but scaled
};

// Fills a problem, and times more of it as plans ask for it.  `inputs` outlive
// it.  One thread at a time.
class ProblemMaker {
 public:
  explicit ProblemMaker(const ProblemInputs& inputs);
  ~ProblemMaker();

  // Devices, costs, transfers and segments.  KL is 0 everywhere, and nothing is
  // limited but memory by what each device has.
  //
  // depth  kEstimate: what a device estimates stands for its times at
  //        kOptimism of it, so that a plan comes by all that might be good
  // Errors  those of reading the model, of devices that fail and of the store
  Result<planner::Problem> make(ProbeDepth depth);

  // Times what `assignment` uses and was only estimated so far, into `problem`,
  // which make() gave.  Stops early once `is_late` says so.  The
  // first time it also times on every device what is kept and carries most of
  // the plan's time; where that has drifted, all that is kept of the device is
  // scaled by as much and counts as estimated.
  //
  // Returns  how much of the problem changed: segments timed, and devices found
  // to
  //          have drifted
  // Errors   as make()
  Result<uint32_t> measure_used(const planner::Assignment& assignment,
                                const std::function<bool()>& is_late,
                                planner::Problem& problem);

  // Where another scheme or device would do about as well for some linear of
  // `assignment`, by what was timed in this planning: times all that is so
  // close anew, in one go.  Does so once for each set of those, and a few times
  // at most.
  //
  // Returns  how much of the problem changed
  // Errors   as make()
  Result<uint32_t> measure_close(const planner::Assignment& assignment,
                                 const std::function<bool()>& is_late,
                                 planner::Problem& problem);

  // Times steps of `assignment`, of which nothing is left to be timed by
  // itself, and charges what they lose where they change device; see StepCosts.
  //
  // Returns  whether the problem changed
  // Errors   as make()
  Result<bool> measure_steps(const planner::Assignment& assignment,
                             planner::Problem& problem);

  // Times what was only estimated so far of all linears, and what is kept of
  // devices that have drifted, likewise.
  Status measure_rest(const std::function<bool()>& is_late,
                      planner::Problem& problem);

  // Times anew what `assignment` uses, whatever was timed or kept before, with
  // all kinds of segment in the same scheme on the same device: what the plan
  // takes at the speed that the machine has now.
  //
  // Errors  as make()
  Status measure_again(const planner::Assignment& assignment,
                       planner::Problem& problem);

  // Where measure_again() shows that the machine has changed: times anew, in
  // one go, what `assignment` uses and all that was told apart from it.  What
  // else was timed is scaled by `ratio` and counts as estimated, and what was
  // estimated is again better than that, so that plans say what to time.
  //
  // ratio   of the plan's time to what it was, by phase
  // Errors  as make()
  Status measure_anew(const planner::Assignment& assignment,
                      const std::array<double, 2>& ratio,
                      planner::Problem& problem);

  // What steps of `assignment` take just now, of what `problem` says of them,
  // by phase; nothing unless it goes over several devices, all with wall
  // clocks, and divides no linear.
  std::optional<std::array<double, 2>> time_pace(
      const planner::Assignment& assignment, const planner::Problem& problem);

  // What was never timed at what devices estimate, no better.
  void end_optimism(planner::Problem& problem) const;

  // What measure_used() found.
  std::vector<CostDrift> drifts(const planner::Problem& problem) const;

  const ProbeCounts& counts() const;

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

// Estimates may be that much too high and still be tried.
inline constexpr double kOptimism = 0.5;

}  // namespace tessera
