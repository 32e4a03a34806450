// SPDX-License-Identifier: Apache-2.0
//
// Level 3: what linear costs, by the plugin's own claims: time and its
// variance, share of the best this device showed, what a submission costs by
// itself, and whether `estimate` is honest.  A slow plugin passes; one that
// lies about its cost does not, since plans are made of that.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

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
    TSR_ASSIGN_OR_RETURN(const StepTimes times, time_steps(device, op));
    const double ns = std::max(times.median_ns, 1.0);
    context.add_figure(op.name + "_ns", ns);
    // Estimates are held to the best step: the others tell of what else the
    // machine did.
    const double best = std::max(times.best_ns, 1.0);
    m.measured_ns.push_back(best);
    best_bytes = std::max(best_bytes, static_cast<double>(op.bytes) / best);
    best_operations =
        std::max(best_operations, static_cast<double>(op.operations) / best);
    widest = std::max(widest, times.spread);
    const Result<double> estimate = estimated_ns(*device, op);
    if (estimate.ok()) {
      m.estimated_ns.push_back(*estimate);
    } else if (estimate.status().code() != TSR_UNIMPLEMENTED) {
      return estimate.status();
    }
  }
  context.add_figure("gigabytes_per_s", best_bytes);
  context.add_figure("gigaoperations_per_s", best_operations);
  context.add_figure("widest_spread", widest);
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
  return {};
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
