// SPDX-License-Identifier: Apache-2.0
//
// Estimates of random problems, a decode step, and a large product.

#include "backends/npu_sim/validation/speed.hpp"

#include <algorithm>
#include <ctime>

#include "backends/npu_sim/simulation/simulate.hpp"
#include "backends/npu_sim/validation/estimate_sweep.hpp"
#include "backends/npu_sim/validation/validate.hpp"

namespace tessera::npu {
namespace {

constexpr int kProblemsOfFamily = 100;
constexpr int64_t kCubeSide = 8192;
constexpr int64_t kCached = 4096;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         1e-9 * static_cast<double>(now.tv_nsec);
}

template <typename Body>
double seconds_of(const Body& body) {
  const double begin = thread_seconds();
  body();
  return thread_seconds() - begin;
}

void measure_estimates(const Profile& profile, SpeedFigures& figures) {
  std::mt19937 rng(42);
  std::vector<Problem> problems;
  for (int family = 0; family < kNumFamilies; ++family) {
    for (int i = 0; i < kProblemsOfFamily; ++i) {
      problems.push_back(
          random_problem(profile, static_cast<Family>(family), rng));
    }
  }
  Simulator simulator(profile);
  std::vector<double> times;
  times.reserve(problems.size());
  for (const Problem& problem : problems) {
    times.push_back(1e6 * seconds_of([&] { simulator.guess(problem); }));
    figures.estimate_us += times.back();
  }
  const auto count = static_cast<double>(problems.size());
  figures.estimate_us /= count;
  std::nth_element(
      times.begin(),
      times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
      times.end());
  figures.estimate_median_us = times[times.size() / 2];
  figures.remembered_us = 1e6 / count * seconds_of([&] {
                            for (const Problem& problem : problems) {
                              simulator.guess(problem);
                            }
                          });
}

}  // namespace

std::vector<SpeedFigures> measure_speed(
    const std::vector<std::string>& profiles) {
  std::vector<SpeedFigures> all;
  for (const std::string& name : profiles) {
    SpeedFigures figures;
    figures.profile = name;
    const Profile profile = load_profile(name);
    measure_estimates(profile, figures);
    ModelStep step;
    step.model = "qwen3-8b";
    step.scheme = Scheme::kW8A8;
    step.cached = kCached;
    figures.step_s = seconds_of([&] {
      Simulator simulator(profile);
      figures.step_ms = 1e-6 * model_step_ns(simulator, step);
    });
    Gemm gemm;
    gemm.M = gemm.N = gemm.K = kCubeSide;
    gemm.layout = WeightLayout::kNz;
    figures.gemm_s = seconds_of([&] { simulate(profile, gemm); });
    all.push_back(figures);
  }
  return all;
}

}  // namespace tessera::npu
