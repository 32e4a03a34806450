// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/performance/timing.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "framework/base/ranks.hpp"
#include "framework/conformance/kit/trial/weight_descs.hpp"

namespace tessera::conformance {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kFewest = 9;
constexpr size_t kMost = 41;
constexpr size_t kFewestSlow = 3;
constexpr double kTooMuchNs = 400e6;
constexpr double kEnoughNs = 60e6;  // of all steps together

double since_ns(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

// One step, by the host's clock.
Result<double> wall_step(OpRun& run, Queue& queue, Timeline& timeline,
                         uint64_t timeline_id, uint64_t value) {
  SubmissionBuilder work = run.submission(timeline_id, value);
  const Clock::time_point begin = Clock::now();
  TSR_RETURN_IF_ERROR(queue.submit(work.record()));
  TSR_RETURN_IF_ERROR(timeline.wait(value, 10 * kPatienceNs));
  return since_ns(begin);
}

// One step, by the clock of the device's own records.
Result<double> simulated_step(Device& device, OpRun& run, Queue& queue,
                              Timeline& timeline, uint64_t timeline_id,
                              uint64_t value) {
  SubmissionBuilder work = run.submission(timeline_id, value);
  work.set_flags(TSR_SUBMIT_PROFILE);
  TSR_RETURN_IF_ERROR(queue.submit(work.record()));
  TSR_RETURN_IF_ERROR(timeline.wait(value, 10 * kPatienceNs));
  TSR_ASSIGN_OR_RETURN(const std::vector<tsr_kernel_record> records,
                       device.profile_read());
  if (records.empty()) {
    return Status(TSR_UNIMPLEMENTED,
                  "its clock is simulated, and it profiles nothing");
  }
  double sum = 0.0;
  for (const tsr_kernel_record& record : records) {
    sum += static_cast<double>(record.end_ns - record.begin_ns);
  }
  return sum;
}

}  // namespace

Result<StepTimes> time_steps(const std::shared_ptr<Device>& device,
                             const TimedOp& op) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, op.setup, Memory::kCreated));
  TSR_RETURN_IF_ERROR(run->upload());
  TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device));
  StepTimes times;
  const Clock::time_point begin = Clock::now();
  TSR_RETURN_IF_ERROR(device->create_program(run->record()).status());
  times.create_ns = since_ns(begin);
  const bool simulated = device->info().clock == TSR_CLOCK_SIMULATED;
  std::vector<double> steps;
  double spent = 0.0;
  for (uint64_t value = 1; value <= kMost; ++value) {
    const Result<double> step =
        simulated ? simulated_step(*device, *run, queue, timeline, id, value)
                  : wall_step(*run, queue, timeline, id, value);
    TSR_RETURN_IF_ERROR(step.status());
    // A step that takes so long alone is measured well enough by one.
    const bool crawls = value > 1 && *step > kTooMuchNs;
    if (value > 2 || crawls) steps.push_back(*step);  // caches are warm
    spent += *step;
    const bool slow =
        crawls || (steps.size() >= kFewestSlow && spent > kTooMuchNs);
    const bool enough =
        steps.size() >= kFewest && (simulated || spent > kEnoughNs);
    if (slow || enough) break;
  }
  times.median_ns = median_of(steps);
  std::sort(steps.begin(), steps.end());
  times.best_ns = steps.front();
  times.spread = (steps[steps.size() * 3 / 4] - steps[steps.size() / 4]) /
                 std::max(times.median_ns, 1.0);
  return times;
}

Result<double> estimated_ns(Device& device, const TimedOp& op) {
  const WeightDescs weights(op.setup.weights());
  tsr_step_shape shape{};
  shape.struct_size = sizeof(shape);
  shape.num_tokens = op.setup.step.num_tokens;
  shape.num_seqs = 1;
  shape.num_outputs = 1;
  shape.seq_len = op.setup.step.num_tokens;
  shape.phase = op.phase;
  TSR_ASSIGN_OR_RETURN(const tsr_estimate estimate,
                       device.estimate(op.setup.question(), weights.all(),
                                       op.setup.kv_pools(), shape));
  if (estimate.clock != device.info().clock) {
    return Status(TSR_INTERNAL, "estimates by another clock than the device's");
  }
  return static_cast<double>(estimate.mean_ns);
}

double rank_correlation(const std::vector<double>& a,
                        const std::vector<double>& b) {
  const std::vector<double> x = ranks_of(a);
  const std::vector<double> y = ranks_of(b);
  const double mean = 0.5 * (static_cast<double>(a.size()) - 1.0);
  double xy = 0.0;
  double xx = 0.0;
  double yy = 0.0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx == 0.0 || yy == 0.0 ? 0.0 : xy / std::sqrt(xx * yy);
}

double median_of(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace tessera::conformance
