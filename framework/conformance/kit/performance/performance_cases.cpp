// SPDX-License-Identifier: Apache-2.0
//
// Level 3: what linear costs, by the plugin's own claims: time and its
// variance, share of the rate at which the device copies, what a submission
// costs by itself, and whether `estimate` is honest.  Each has a limit that
// only a defect misses: a slow plugin passes.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/numerics/linear_trial.hpp"
#include "framework/conformance/kit/performance/timing.hpp"

namespace tessera::conformance {
namespace {

// A quarter of the work from one to the next, so that noise on a busy machine
// does not change the order.
struct Shape {
  uint32_t M, N, K;
};
constexpr Shape kShapes[] = {{1, 256, 256},    {1, 512, 512},
                             {1, 1024, 1024},  {1, 2048, 2048},
                             {32, 1024, 1024}, {128, 1024, 1024}};

// Plans follow the order of estimates: below this they would choose badly.
constexpr double kLeastRank = 0.75;
// And the planner weighs devices against each other: beyond this factor an
// estimate misleads it.
constexpr double kMostFactor = 8.0;
constexpr size_t kFewestShapes = 4;
// Half of a kernel's steps take no longer than this many times the best: plans
// are of no use where steps do not repeat.  Only of steps that end between two
// turns of the scheduler: longer ones tell of the machine's other work.
constexpr double kMostSpread = 5.0;
constexpr double kLongStepNs = 5e6;
// Of the rate at which the device copies memory: what reads its weights slower
// than this does not use the hardware.
constexpr double kLeastOfCopyRate = 0.005;
// A step with next to nothing to do is replayed once for each token and stage.
constexpr double kMostReplayNs = 2e6;
// Another program's burst does not repeat three times.
constexpr int kAttempts = 3;
constexpr uint64_t kCopyBytes = uint64_t{8} << 20;

uint64_t bytes_of(const OpSetup& setup) {
  uint64_t bytes = 0;
  for (const SetupTensor& tensor : setup.tensors()) {
    bytes += tensor.contents.size();
  }
  for (const format::WeightData& weight : setup.weights()) {
    for (const format::Plane& plane : weight.planes) {
      bytes += uint64_t{plane.rows} * plane.row_bytes();
    }
  }
  return bytes;
}

// The shapes that the row takes.
std::vector<TimedOp> timed_ops(const Claim& claim, const tsr_kernel_desc& row,
                               uint32_t act_quant) {
  std::vector<TimedOp> ops;
  for (const Shape& shape : kShapes) {
    LinearSpec spec;
    spec.weight = weight_kinds_of(row).front();
    const bool is_static = act_quant == TSR_ACT_I8_STATIC ||
                           act_quant == TSR_ACT_U8_STATIC ||
                           act_quant == TSR_ACT_I8_MIX;
    spec.weight.static_activation = is_static;
    spec.act_quant = act_quant;
    spec.x_dtype = values_in(row.x_dtypes).front();
    spec.y_dtype = values_in(row.y_dtypes).front();
    spec.M = spec.max_m = shape.M;
    spec.N = shape.N;
    spec.K = fit_depth(row.weight_format, shape.K);
    for (const WeightKind& kind : weight_kinds_of(row)) {
      spec.weight.scheme = kind.scheme;
      Result<OpTrial> made = make_linear(spec, nullptr);
      if (!made.ok()) continue;
      const uint32_t phase = shape.M == 1 ? TSR_DECODE : TSR_PREFILL;
      const Result<Answer> answer = claim.judge(made->setup, phase, shape.M);
      if (!answer.ok() || !answer->inside || answer->row != row.name) continue;
      TimedOp op;
      op.name = fmt::format("M{}_N{}_K{}", shape.M, shape.N, spec.K);
      op.bytes = bytes_of(made->setup);
      op.operations = uint64_t{2} * shape.M * shape.N * spec.K;
      op.phase = phase;
      op.setup = std::move(made->setup);
      ops.push_back(std::move(op));
      break;
    }
  }
  return ops;
}

struct Measured {
  std::vector<double> measured_ns;
  std::vector<double> estimated_ns;  // empty if it estimates nothing
};

double spread_of(const StepTimes& times) {
  if (times.best_ns > kLongStepNs) return 1.0;
  return times.median_ns / std::max(times.best_ns, 1.0);
}

// The steadiest of some attempts: another program's burst is nobody's fault.
Result<StepTimes> time_steadily(const std::shared_ptr<Device>& device,
                                const TimedOp& op) {
  TSR_ASSIGN_OR_RETURN(StepTimes best, time_steps(device, op));
  for (int i = 1; i < kAttempts && spread_of(best) > kMostSpread; ++i) {
    TSR_ASSIGN_OR_RETURN(const StepTimes again, time_steps(device, op));
    if (spread_of(again) < spread_of(best)) best = again;
  }
  return best;
}

// Bytes per ns, read and written, of copies within the device's own memory; 0
// where it copies nothing, or by another clock than the wall's.
double copy_rate(const std::shared_ptr<Device>& device) {
  if (device->info().clock == TSR_CLOCK_SIMULATED) return 0.0;
  const Result<Buffer> src = device->create_buffer(kCopyBytes, 0);
  const Result<Buffer> dst = device->create_buffer(kCopyBytes, 0);
  Result<Queue> queue = device->create_queue();
  Timeline timeline;
  const Result<uint64_t> id = timeline.import_into(device);
  if (!src.ok() || !dst.ok() || !queue.ok() || !id.ok()) return 0.0;
  double best_ns = 0.0;
  for (uint64_t value = 1; value <= 5; ++value) {
    SubmissionBuilder work(TSR_SUBMIT_COPY);
    work.record().src = src->id();
    work.record().dst = dst->id();
    work.record().bytes = kCopyBytes;
    work.add_signal({*id, value});
    const auto begin = std::chrono::steady_clock::now();
    if (!queue->submit(work.record()).ok()) return 0.0;
    if (!timeline.wait(value, kPatienceNs).ok()) return 0.0;
    const double ns = std::chrono::duration<double, std::nano>(
                          std::chrono::steady_clock::now() - begin)
                          .count();
    if (value == 1 || ns < best_ns) best_ns = ns;
  }
  return 2.0 * static_cast<double>(kCopyBytes) / std::max(best_ns, 1.0);
}

Status judge_times(CaseContext& context, const std::shared_ptr<Device>& device,
                   double best_bytes, double widest) {
  context.add_figure("widest_spread", widest);
  if (widest > kMostSpread) {
    return {TSR_INTERNAL,
            fmt::format("half of the steps take {:.1f} times the best or more, "
                        "at most {} is asked for",
                        widest, kMostSpread)};
  }
  const double rate = copy_rate(device);
  if (rate == 0.0) return {};
  context.add_figure("share_of_copy_rate", best_bytes / rate);
  if (best_bytes >= kLeastOfCopyRate * rate) return {};
  return {TSR_INTERNAL,
          fmt::format("reads its operands at {:.3f} GB/s where the device "
                      "copies {:.3f} GB/s; at least {} of that is asked for",
                      best_bytes, rate, kLeastOfCopyRate)};
}

// How far estimates are off, as a factor of at least 1.
double error_factor(const Measured& m) {
  std::vector<double> factors;
  for (size_t i = 0; i < m.measured_ns.size(); ++i) {
    const double ratio = m.estimated_ns[i] / m.measured_ns[i];
    factors.push_back(ratio < 1.0 ? 1.0 / std::max(ratio, 1e-9) : ratio);
  }
  return median_of(factors);
}

Status judge_estimates(CaseContext& context, const Measured& m) {
  const double rank = rank_correlation(m.estimated_ns, m.measured_ns);
  const double factor = error_factor(m);
  context.add_figure("estimate_rank", rank);
  context.add_figure("estimate_factor", factor);
  if (m.measured_ns.size() < kFewestShapes) return {};
  if (rank < kLeastRank) {
    return {TSR_INTERNAL,
            fmt::format("estimates are in another order than the times: rank "
                        "correlation {:.2f}, at least {} is asked for",
                        rank, kLeastRank)};
  }
  if (factor > kMostFactor) {
    return {
        TSR_INTERNAL,
        fmt::format("estimates are off by a factor of {:.1f} in the median, "
                    "at most {} is asked for",
                    factor, kMostFactor)};
  }
  return {};
}

Status time_row(CaseContext& context, const std::vector<TimedOp>& ops) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  Measured m;
  double best_bytes = 0.0;
  double best_operations = 0.0;
  double widest = 0.0;
  for (const TimedOp& op : ops) {
    TSR_ASSIGN_OR_RETURN(const StepTimes times, time_steadily(device, op));
    const double ns = std::max(times.median_ns, 1.0);
    context.add_figure(op.name + "_ns", ns);
    // Estimates are held to the best step: the others tell of what else the
    // machine did.
    const double best = std::max(times.best_ns, 1.0);
    m.measured_ns.push_back(best);
    best_bytes = std::max(best_bytes, static_cast<double>(op.bytes) / best);
    best_operations =
        std::max(best_operations, static_cast<double>(op.operations) / best);
    widest = std::max(widest, spread_of(times));
    const Result<double> estimate = estimated_ns(*device, op);
    if (estimate.ok()) {
      m.estimated_ns.push_back(*estimate);
    } else if (estimate.status().code() != TSR_UNIMPLEMENTED) {
      return estimate.status();
    }
  }
  context.add_figure("gigabytes_per_s", best_bytes);
  context.add_figure("gigaoperations_per_s", best_operations);
  TSR_RETURN_IF_ERROR(judge_times(context, device, best_bytes, widest));
  if (m.estimated_ns.empty()) return {};
  if (m.estimated_ns.size() != ops.size()) {
    return {TSR_INTERNAL, "estimates some steps of a kernel, but not all"};
  }
  return judge_estimates(context, m);
}

// A step with next to nothing to do, and making its program.
Status time_replay(CaseContext& context, const TimedOp& op) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  TSR_ASSIGN_OR_RETURN(const StepTimes times, time_steps(device, op));
  context.add_figure("replay_ns", times.median_ns);
  context.add_figure("create_ns", times.create_ns);
  if (device->info().clock == TSR_CLOCK_SIMULATED ||
      times.best_ns <= kMostReplayNs) {
    return {};
  }
  return {TSR_INTERNAL,
          fmt::format("replaying a program of next to nothing takes {:.0f} us, "
                      "at most {:.0f} is asked for",
                      times.best_ns / 1e3, kMostReplayNs / 1e3)};
}

TimedOp smallest_op(const OpTrial& trial) {
  TimedOp op;
  op.name = "smallest";
  op.setup = trial.setup;
  op.phase = TSR_PREFILL;
  return op;
}

}  // namespace

void add_performance_cases(const Claim& claim, CaseList& cases) {
  for (const NamedTrial& trial : one_trial_of_each_kind(cases)) {
    Case one;
    one.id = std::string("L3/replay/") + trial.name;
    one.limit_seconds = 60.0;
    one.run = [make = trial.make](CaseContext& context) -> Status {
      TSR_ASSIGN_OR_RETURN(const OpTrial made, make());
      return time_replay(context, smallest_op(made));
    };
    cases.push_back(std::move(one));
  }
  for (const tsr_kernel_desc& row : claim.rows()) {
    if (row.op != TSR_OP_LINEAR || values_in(row.act_quants).empty()) continue;
    const uint32_t act = values_in(row.act_quants).front();
    Case one;
    one.id = fmt::format("L3/linear/{}", row.name);
    one.limit_seconds = 60.0;
    one.run = [&claim, &row, act](CaseContext& context) -> Status {
      const std::vector<TimedOp> ops = timed_ops(claim, row, act);
      if (ops.empty()) {
        return {TSR_UNAVAILABLE, "takes none of the shapes that are timed"};
      }
      return time_row(context, ops);
    };
    cases.push_back(std::move(one));
  }
}

}  // namespace tessera::conformance
