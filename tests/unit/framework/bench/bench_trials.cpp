// SPDX-License-Identifier: Apache-2.0
//
// Prints how well the benchmark keeps its two promises: by hand, for noise of
// known laws and for samples of a real machine.
//
// Usage: bench_trials [FILE]
//
// FILE is what `tessera bench ops --json` printed with thousands of samples a
// row; each trial takes the next of them.  A machine that slows down and
// recovers is another machine in the second run of a trial, so samples are also
// dealt out to both runs at random, which leaves the noise and takes the drift.

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "framework/bench/history/compare_runs.hpp"
#include "framework/bench/statistics/drift.hpp"
#include "framework/bench/statistics/median_interval.hpp"
#include "framework/bench/statistics/wander.hpp"
#include "tests/unit/framework/bench/noise.hpp"

namespace tessera::bench {
namespace {

constexpr size_t kSamples = 15;  // of a run, as bench ops takes them
constexpr size_t kTrials = 200;
constexpr double kSlowdown = 1.1;

struct Count {
  size_t found = 0;
  size_t of = 0;

  void add(bool is_found) {
    found += is_found ? 1 : 0;
    ++of;
  }
  std::string text() const {
    const double share =
        of == 0 ? 0.0
                : 100.0 * static_cast<double>(found) / static_cast<double>(of);
    return fmt::format("{:>5} of {:<5} {:5.1f} %", found, of, share);
  }
};

// That the interval of `run` holds the median of `longer`.
bool covers(std::span<const double> run, std::span<const double> longer,
            double machine_wander = 0.0) {
  const MedianInterval found = median_interval(run, machine_wander);
  const double median = quantile_of(longer, 0.5);
  return found.low <= median && median <= found.high;
}

void simulated_intervals() {
  fmt::print("the 95 % interval holds the median of a run ten times as long\n");
  std::mt19937 rng(42);
  for (const Law& law : noise_laws()) {
    Count count;
    for (size_t i = 0; i < 10 * kTrials; ++i) {
      count.add(covers(draw_samples(law, kSamples, rng),
                       draw_samples(law, 10 * kSamples, rng)));
    }
    fmt::print("  {:<34} {}\n", "noise, " + law.name, count.text());
  }
}

bool has_regression(const Comparison& comparison) {
  return std::any_of(comparison.changes.begin(), comparison.changes.end(),
                     [](const CaseChange& one) { return one.is_regression(); });
}

void print_diffs(const std::string& name, const Count& alarms,
                 const Count& planted) {
  fmt::print("  {:<34} {}\n", name + ", false alarms", alarms.text());
  fmt::print("  {:<34} {}\n", name + ", planted tenth found", planted.text());
}

void simulated_diffs() {
  fmt::print("bench diff of two runs of the same, and with one case slowed\n");
  std::mt19937 rng(42);
  Count alarms;
  Count planted;
  for (size_t i = 0; i < kTrials; ++i) {
    const auto usual = simulate_run(1.0, rng);
    alarms.add(has_regression(compare_runs(usual, simulate_run(1.0, rng), {})));
    const auto slowed = simulate_run(kSlowdown, rng);
    planted.add(compare_runs(usual, slowed, {})
                    .changes.at(kPlantedCase)
                    .is_regression());
  }
  print_diffs("noise, 40 cases", alarms, planted);
}

// ---- Samples of a machine --------------------------------------------------

struct Row {
  std::string name;
  std::vector<double> samples;
};

std::vector<Row> read_rows(const std::string& path) {
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  std::vector<Row> rows;
  for (const auto& row : json.is_array() ? json : nlohmann::json::array()) {
    if (!row.contains("samples_ns") || !row.contains("case")) continue;
    rows.push_back({row.at("case").get<std::string>(),
                    row.at("samples_ns").get<std::vector<double>>()});
  }
  return rows;
}

// The samples of trial `trial`, `count` of them; dealt at random or as taken.
std::vector<double> trial_samples(const Row& row, size_t trial, size_t count,
                                  bool dealt, std::mt19937& rng) {
  const auto begin =
      row.samples.begin() + static_cast<std::ptrdiff_t>(trial * count);
  std::vector<double> samples(begin,
                              begin + static_cast<std::ptrdiff_t>(count));
  if (dealt) std::shuffle(samples.begin(), samples.end(), rng);
  return samples;
}

// What a run measures before: how far the machine's speed wanders, of other
// work than row `at` and at another time.
double wander_elsewhere(const std::vector<Row>& rows, size_t at,
                        std::mt19937& rng) {
  constexpr size_t kStretch = 800;
  const size_t step = rows.size() == 1 ? 0 : 1 + rng() % (rows.size() - 1);
  const std::span<const double> all(rows[(at + step) % rows.size()].samples);
  if (all.size() <= kStretch) return wander_of(all);
  return wander_of(all.subspan(rng() % (all.size() - kStretch), kStretch));
}

void real_intervals(const std::vector<Row>& rows, bool dealt) {
  std::mt19937 rng(42);
  constexpr size_t kOfTrial = 11 * kSamples;
  Count count;
  Count drifting;
  for (size_t at = 0; at < rows.size(); ++at) {
    const Row& row = rows[at];
    for (size_t i = 0; (i + 1) * kOfTrial <= row.samples.size(); ++i) {
      const std::vector<double> all =
          trial_samples(row, i, kOfTrial, dealt, rng);
      const std::span<const double> samples(all);
      const double wander = dealt ? 0.0 : wander_elsewhere(rows, at, rng);
      count.add(
          covers(samples.first(kSamples), samples.subspan(kSamples), wander));
      drifting.add(drifts(samples.first(kSamples)));
    }
  }
  fmt::print("  {:<34} {}\n",
             dealt ? "interval, dealt out" : "interval, one after the other",
             count.text());
  fmt::print("  {:<34} {}\n", "  of them called drifting", drifting.text());
}

nlohmann::ordered_json row_json(const Row& row, std::span<const double> samples,
                                double factor) {
  std::vector<double> values(samples.begin(), samples.end());
  for (double& value : values) value *= factor;
  return {{"case", row.name}, {"clock", "wall"}, {"samples_ns", values}};
}

void real_diffs(const std::vector<Row>& rows, bool dealt) {
  std::mt19937 rng(42);
  size_t trials = kTrials;
  for (const Row& row : rows) {
    trials = std::min(trials, row.samples.size() / (2 * kSamples));
  }
  Count alarms;
  Count planted;
  for (size_t i = 0; i < trials; ++i) {
    const size_t slow = i % rows.size();
    auto before = nlohmann::ordered_json::array();
    auto same = before;
    auto slowed = before;
    for (size_t at = 0; at < rows.size(); ++at) {
      const std::vector<double> all =
          trial_samples(rows[at], i, 2 * kSamples, dealt, rng);
      const std::span<const double> samples(all);
      before.push_back(row_json(rows[at], samples.first(kSamples), 1.0));
      same.push_back(row_json(rows[at], samples.subspan(kSamples), 1.0));
      slowed.push_back(row_json(rows[at], samples.subspan(kSamples),
                                at == slow ? kSlowdown : 1.0));
    }
    alarms.add(has_regression(compare_runs(before, same, {})));
    planted.add(
        compare_runs(before, slowed, {}).changes.at(slow).is_regression());
  }
  print_diffs(dealt ? "diff, dealt out" : "diff, one after the other", alarms,
              planted);
}

int run(int count, char** words) {
  simulated_intervals();
  simulated_diffs();
  if (count < 2) return 0;
  const std::vector<Row> rows = read_rows(words[1]);
  if (rows.empty()) {
    fmt::print(stderr, "bench_trials: {}: no rows with samples\n", words[1]);
    return 1;
  }
  fmt::print("{} rows of {}\n", rows.size(), words[1]);
  for (const bool dealt : {false, true}) {
    real_intervals(rows, dealt);
    real_diffs(rows, dealt);
  }
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int count, char** words) { return tessera::bench::run(count, words); }
