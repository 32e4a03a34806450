// SPDX-License-Identifier: Apache-2.0
//
// Runs each row, once as shipped and once without what it gave.

#include "backends/npu_sim/validation/validate.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

double run_cycles(const Profile& profile, std::vector<Instruction> list) {
  return run_stream(profile, Stream::of({std::move(list)}), false).cycles;
}

// What one instruction adds to a chain, or costs by itself.
double mmad_cycles_of(const Profile& profile, const Experiment& experiment) {
  const auto chain = [&](int count) {
    std::vector<Instruction> list;
    Emitter emit(list);
    for (int i = 0; i < count; ++i) {
      emit.mmad(0, experiment.m, experiment.n, experiment.k);
    }
    return run_cycles(profile, list) - profile.assumptions.dispatch_cycles;
  };
  constexpr int kMany = 16;
  return experiment.pipelined ? (chain(kMany + 1) - chain(1)) / kMany
                              : chain(1);
}

double load_pair_cycles(const Profile& profile, const Experiment& experiment) {
  std::vector<Instruction> list;
  Emitter emit(list);
  emit.load_a(0, 0, experiment.m, experiment.k);
  emit.load_b(0, 0, experiment.n, experiment.k);
  return run_cycles(profile, list) - profile.assumptions.dispatch_cycles;
}

double metric_of(const Profile& profile, const std::string& metric,
                 const Simulation& result) {
  const auto pipe_us = [&](Pipe pipe) {
    return profile.cycles_to_ns(
               result.busy_cycles.at(static_cast<size_t>(pipe))) *
           1e-3;
  };
  if (metric == "cycles") return result.cycles;
  if (metric == "time_us") return result.time_ns * 1e-3;
  if (metric == "tops") return result.operations / result.time_ns * 1e-3;
  if (metric == "gbps") {
    return result.counters.l2_read_bytes / result.time_ns;
  }
  for (int pipe = 0; pipe < kNumPipes; ++pipe) {
    const Pipe name = static_cast<Pipe>(pipe);
    if (metric == std::string(name_of(name)) + "_us") return pipe_us(name);
  }
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   "metric '" + metric +
                       "' is not one of cycles time_us tops gbps speedup "
                       "per_second cube_us vector_us mte1_us mte2_us mte3_us "
                       "fixpipe_us scalar_us");
}

double time_ns(const Profile& profile, const Experiment& experiment) {
  if (experiment.kind == Experiment::Kind::kStep) {
    Simulator simulator(profile);
    return model_step_ns(simulator, experiment.step);
  }
  return simulate(profile, experiment.problem, experiment.options).time_ns;
}

// Metrics of the whole: speedup, steps per second, time.
double measure_time(const Profile& profile, const ValidationRow& row) {
  const double time = time_ns(profile, row.experiment);
  if (row.metric == "per_second") return 1e9 / time;
  if (row.metric == "time_us") return time * 1e-3;
  if (row.metric != "speedup" || !row.over) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "row " + row.id +
                         ": a step has time_us, per_second, or speedup with "
                         "'over'");
  }
  return time_ns(profile, *row.over) / time;
}

double measure(const Profile& profile, const ValidationRow& row) {
  const Experiment& experiment = row.experiment;
  switch (experiment.kind) {
    case Experiment::Kind::kMmad:
      return mmad_cycles_of(profile, experiment);
    case Experiment::Kind::kLoadPair:
      return load_pair_cycles(profile, experiment);
    case Experiment::Kind::kLaunch:
    case Experiment::Kind::kStep:
      break;
  }
  if (row.metric == "speedup" || experiment.kind == Experiment::Kind::kStep) {
    return measure_time(profile, row);
  }
  return metric_of(profile, row.metric,
                   simulate(profile, experiment.problem, experiment.options));
}

double error_of(const ValidationRow& row, double value) {
  if (value < row.low) return value / row.low - 1;
  if (value > row.high) return value / row.high - 1;
  return 0;
}

}  // namespace

bool ValidationResult::within() const {
  return std::abs(error) <= row.tolerance;
}

double Validation::mape(std::string_view kind) const {
  double sum = 0;
  for (const ValidationResult& result : results) {
    if (result.row.kind == kind) sum += std::abs(result.error);
  }
  return count(kind) > 0 ? sum / static_cast<double>(count(kind)) : 0;
}

int64_t Validation::count(std::string_view kind) const {
  return std::count_if(
      results.begin(), results.end(),
      [&](const ValidationResult& result) { return result.row.kind == kind; });
}

Validation validate(const std::vector<ValidationRow>& rows) {
  Validation validation;
  std::set<std::string> fitted;
  std::map<std::string, Profile> profiles;
  for (const ValidationRow& row : rows) {
    if (profiles.count(row.profile) == 0) {
      profiles.emplace(row.profile, load_profile(row.profile));
    }
    const Profile& profile = profiles.at(row.profile);
    ValidationResult result;
    result.row = row;
    result.value = measure(profile, row);
    result.error = error_of(row, result.value);
    result.left_out_error = result.error;
    if (!row.without.empty()) {
      const Profile other = with_parameters(profile, row.without);
      result.left_out_error = error_of(row, measure(other, row));
    }
    for (const auto& [key, value] : row.without) {
      fitted.insert(row.profile + " " + key);
    }
    validation.results.push_back(std::move(result));
  }
  validation.fitted_parameters = static_cast<int64_t>(fitted.size());
  return validation;
}

}  // namespace tessera::npu
