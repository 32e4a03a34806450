// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/timed_again.hpp"

#include <fmt/format.h>

#include <numeric>

#include "framework/cli/figures.hpp"
#include "framework/planner/planner.hpp"
#include "framework/tuning/plan/problem_costs.hpp"

namespace tessera::cli {
namespace {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

std::string off_text(double predicted_ns, const std::vector<double>& took_ns) {
  const double median = bench::median_interval(took_ns).median;
  return fmt::format("{} ({:+.1f} %)", duration_text(predicted_ns),
                     100.0 * (predicted_ns / median - 1.0));
}

}  // namespace

Status TimedAgain::add(const Contender& plan) {
  ProblemMaker& maker = *inputs_.costs->maker;
  planner::Problem now = problem_;
  if (const auto pace = maker.time_pace(plan.assignment, now)) {
    scale_times(*pace, now);
  } else {
    TSR_RETURN_IF_ERROR(maker.measure_again(plan.assignment, now));
  }
  TSR_ASSIGN_OR_RETURN(const planner::BuiltChain built,
                       planner::build_chain(now));
  TSR_ASSIGN_OR_RETURN(const planner::Prediction prediction,
                       planner::predict(now, built, plan.assignment));
  prefill_ns_.push_back(wall_ns(prediction.prefill_ns));
  decode_ns_.push_back(wall_ns(prediction.decode_ns));
  return {};
}

std::string TimedAgain::text(const Contender& plan) const {
  const double prefill = mean_of(prefill_ns_);
  const double decode = mean_of(decode_ns_);
  const double total = prefill + problem_.workload.generate * decode;
  return fmt::format(
      "timed again before and after the runs, {} is predicted to take: prefill "
      "{}, decode step {}, workload {}\n",
      plan.name, off_text(prefill, plan.prefill), off_text(decode, plan.decode),
      off_text(total, plan.total));
}

}  // namespace tessera::cli
